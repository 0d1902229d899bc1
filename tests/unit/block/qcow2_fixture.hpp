// What the tests of the qcow2 reader share.
#pragma once

#include "formats/base/error.hpp"
#include "formats/block/open_disk.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/qcow2_builder.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

namespace vm2oci::test {

inline DiskSource declared(DiskFormat format) {
    DiskSource source;
    source.path = "test-disk";
    source.format = format;
    return source;
}

// The qcow2's part of the info; the test fails if it has none.
inline const Qcow2Info& qcow2_of(const DiskInfo& info) {
    REQUIRE(info.get<Qcow2Info>() != nullptr);
    return *info.get<Qcow2Info>();
}

inline OpenedDisk open_qcow2(std::shared_ptr<const BlockDevice> file) {
    return open_disk(std::move(file), declared(DiskFormat::qcow2));
}

inline OpenedDisk open_qcow2(const Qcow2Builder& builder) {
    return open_qcow2(builder.device());
}

inline Error refusal_of(const Qcow2Builder& builder) {
    return error_of([&] { open_qcow2(builder); });
}

inline std::vector<std::byte> read_all(const BlockDevice& device) {
    std::vector<std::byte> bytes(device.size(), std::byte{0xee});
    device.read_at(0, bytes);
    return bytes;
}

// The value of every byte of the guest's cluster; the test fails if they differ.
inline unsigned cluster_value(const BlockDevice& device, std::uint64_t guest_cluster, std::uint64_t cluster_size) {
    std::vector<std::byte> bytes(cluster_size, std::byte{0xee});
    device.read_at(guest_cluster * cluster_size, bytes);
    for (const std::byte byte : bytes)
        if (byte != bytes[0])
            FAIL("the cluster holds more than one value");
    return std::to_integer<unsigned>(bytes[0]);
}

} // namespace vm2oci::test
