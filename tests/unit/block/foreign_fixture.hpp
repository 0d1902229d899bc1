// What the tests of VMDK, VHD, VHDX and VDI share.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/block/slice.hpp"
#include "tests/support/image_bytes.hpp"
#include "tests/unit/block/qcow2_fixture.hpp"

#include <algorithm>
#include <optional>

namespace vm2oci::test {

// A number somewhere in an image, to lie with.
struct Lie {
    const char* name;
    std::uint64_t at;
    std::size_t width;
    std::uint64_t value;
};

// Reads what a converter reads: the extents that hold data. At most 64 MiB.
inline void read_data(const BlockDevice& device) {
    std::vector<std::byte> buffer(256 * KiB);
    std::uint64_t done = 0;
    for (std::uint64_t offset = 0; offset < device.size() && done < 64 * MiB;) {
        const Extent extent = device.extent_at(offset);
        REQUIRE(extent.length != 0);
        REQUIRE(extent.length <= device.size() - offset);
        const auto length = std::min<std::uint64_t>(extent.length, buffer.size());
        if (extent.kind == ExtentKind::data) {
            device.read_at(offset, std::span(buffer).first(static_cast<std::size_t>(length)));
            done += length;
        }
        offset += extent.kind == ExtentKind::data ? length : extent.length;
    }
}

// What opening and reading refuse the image with, if they do; examine_disk() must then say so, too, unless only the
// content is wrong.
inline std::optional<Error> refusal_of(const ImageBytes& image, DiskFormat format) {
    const auto file = image.device();
    const DiskFindings findings = examine_disk(file, declared(format));
    try {
        const OpenedDisk disk = open_disk(file, declared(format));
        CHECK_FALSE(findings.refusal);
        read_data(*disk.device);
    } catch (const Error& error) {
        CHECK(error.kind() != ErrorKind::io);
        CHECK(error.kind() != ErrorKind::usage);
        return error;
    }
    return std::nullopt;
}

// Whether each unit of the disk holds the value that `wanted(unit)` tells, also where a read crosses units.
template <class Wanted>
void check_units(const BlockDevice& device, std::uint64_t unit, Wanted wanted) {
    const std::vector<std::byte> all = read_all(device);
    std::uint64_t wrong = 0;
    for (std::size_t i = 0; i < all.size(); ++i)
        wrong += all[i] != std::byte(static_cast<std::uint8_t>(wanted(i / unit))) ? 1U : 0U;
    CHECK(wrong == 0);
    // In pieces that fit nothing, and by extents.
    std::vector<std::byte> piece;
    for (std::uint64_t offset = 0; offset < device.size();) {
        piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(device.size() - offset, 1000)));
        device.read_at(offset, piece);
        CHECK(std::equal(piece.begin(), piece.end(), all.begin() + static_cast<std::ptrdiff_t>(offset)));
        offset += piece.size() * 7 + 13;
    }
    for (std::uint64_t offset = 0; offset < device.size();) {
        const Extent extent = device.extent_at(offset);
        REQUIRE(extent.length != 0);
        REQUIRE(extent.length <= device.size() - offset);
        if (extent.kind != ExtentKind::data)
            CHECK(is_zero(
                std::span(all).subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(extent.length))));
        offset += extent.length;
    }
}

} // namespace vm2oci::test
