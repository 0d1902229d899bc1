// Members of arrays in memory, as mdadm and the kernel write them.
#pragma once

#include "tests/support/memory_device.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci::test {

struct MdSuper {
    std::string version = "1.2"; // "0.90", "1.0", "1.1", "1.2"
    char set = 'S';              // sixteen times: which array
    std::string name = "host:root";
    std::int32_t level = 1;
    std::uint32_t members = 2;
    std::uint64_t used = 256 * 1024;
    std::uint64_t offset = 64 * 1024; // of the data, in version 1; 0 in 1.0
    std::uint64_t size = 256 * 1024;  // of the data, in version 1
    std::uint32_t layout = 0;
    std::uint64_t chunk = 0;
    std::uint64_t events = 10;
    std::uint32_t number = 0;
    std::uint32_t minor = 3;    // of 0.90
    std::uint32_t features = 0; // of version 1
    std::vector<std::uint16_t> roles = {0, 1};
    std::uint64_t bad_block = ~std::uint64_t{0}; // the first entry of the list, if the features say that there is one
    bool is_reshaping = false;                   // of 0.90
    bool is_clean = true;                        // parity is known to fit the data
};

inline constexpr std::uint64_t kMdMemberSize = 1024 * 1024;

template <class T>
void put_le(MemoryDevice& disk, std::uint64_t offset, T value) {
    std::array<std::byte, sizeof value> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(value >> (8 * i));
    disk.put(offset, bytes);
}

// Where the superblock stands on a member of this size.
inline std::uint64_t md_super_offset(const std::string& version, std::uint64_t size = kMdMemberSize) {
    if (version == "0.90")
        return size / 65536 * 65536 - 65536;
    if (version == "1.0")
        return ((size / 512 - 16) & ~std::uint64_t{7}) * 512;
    return version == "1.1" ? 0 : 4096;
}

// Corrects the checksum after a change; `at`: where the superblock stands.
inline void seal_md_super(MemoryDevice& disk, const std::string& version, std::uint64_t at) {
    std::vector<std::byte> bytes(4096);
    disk.read_at(at, bytes);
    const auto word = [&](std::size_t offset) {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < 4; ++i)
            value |= std::to_integer<std::uint32_t>(bytes[offset + i]) << (8 * i);
        return value;
    };
    std::size_t length = 4096;
    const std::size_t place = version == "0.90" ? 152 : 216;
    if (version != "0.90")
        length = std::min<std::size_t>(256 + 2 * std::size_t{word(220)}, 4096);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i + 4 <= length; i += 4)
        sum += i == place ? 0 : word(i);
    if (length % 4 == 2)
        sum += word(length - 2) & 0xffffU;
    put_le(disk, at + place, static_cast<std::uint32_t>(sum) + static_cast<std::uint32_t>(sum >> 32U));
}

inline void put_md_super_0(MemoryDevice& disk, const MdSuper& super, std::uint64_t at) {
    const auto word = [&](std::size_t index, std::uint64_t value) {
        put_le(disk, at + 4 * index, static_cast<std::uint32_t>(value));
    };
    disk.fill(at, 4096, 0);
    word(0, 0xa92b4efc);
    word(2, super.is_reshaping ? 91 : 90);
    const std::uint32_t set = 0x01010101U * static_cast<unsigned char>(super.set);
    for (const std::size_t index : {5u, 13u, 14u, 15u})
        word(index, set);
    word(7, static_cast<std::uint32_t>(super.level));
    word(8, super.used / 1024);
    word(10, super.members);
    word(11, super.minor);
    word(33, super.is_clean ? 1 : 0);
    word(39, super.events);
    word(40, super.events >> 32U);
    word(64, super.layout);
    word(65, super.chunk);
    for (std::size_t i = 0; i < super.roles.size() && i < 27; ++i) {
        const std::size_t device = 128 + 32 * i;
        word(device, i);
        word(device + 3, super.roles[i]);
        word(device + 4, super.roles[i] == 0xfffe ? 1 : super.roles[i] == 0xffff ? 0 : 6);
    }
    word(992, super.number);
}

// Writes the superblock with its checksum.
inline void put_md_super(MemoryDevice& disk, const MdSuper& super) {
    const std::uint64_t at = md_super_offset(super.version, disk.size());
    if (super.version == "0.90") {
        put_md_super_0(disk, super, at);
        return seal_md_super(disk, super.version, at);
    }
    disk.fill(at, 256 + 2 * super.roles.size(), 0);
    put_le<std::uint32_t>(disk, at, 0xa92b4efc);
    put_le<std::uint32_t>(disk, at + 4, 1);
    put_le<std::uint32_t>(disk, at + 8, super.features);
    disk.put(at + 16, std::string(16, super.set));
    disk.put(at + 32, super.name);
    put_le<std::uint32_t>(disk, at + 72, static_cast<std::uint32_t>(super.level));
    put_le<std::uint32_t>(disk, at + 76, super.layout);
    put_le<std::uint64_t>(disk, at + 80, super.used / 512);
    put_le<std::uint32_t>(disk, at + 88, static_cast<std::uint32_t>(super.chunk / 512));
    put_le<std::uint32_t>(disk, at + 92, super.members);
    put_le<std::uint64_t>(disk, at + 128, super.offset / 512);
    put_le<std::uint64_t>(disk, at + 136, super.size / 512);
    put_le<std::uint64_t>(disk, at + 144, at / 512);
    put_le<std::uint32_t>(disk, at + 160, super.number);
    if ((super.features & 8U) != 0) {
        put_le<std::uint16_t>(disk, at + 186, 1);
        put_le<std::uint32_t>(disk, at + 188, 8);
        put_le<std::uint64_t>(disk, at + 4096, super.bad_block);
    }
    put_le<std::uint64_t>(disk, at + 200, super.events);
    put_le<std::uint64_t>(disk, at + 208, super.is_clean ? ~std::uint64_t{0} : 0);
    put_le<std::uint32_t>(disk, at + 220, static_cast<std::uint32_t>(super.roles.size()));
    for (std::size_t i = 0; i < super.roles.size(); ++i)
        put_le<std::uint16_t>(disk, at + 256 + 2 * i, super.roles[i]);
    seal_md_super(disk, super.version, at);
}

// A member whose data area is filled with one value.
inline std::shared_ptr<MemoryDevice> make_md_member(const MdSuper& super, std::uint8_t content) {
    auto disk = std::make_shared<MemoryDevice>(kMdMemberSize);
    disk->fill(super.version == "0.90" ? 0 : super.offset, super.used, content);
    put_md_super(*disk, super);
    return disk;
}

} // namespace vm2oci::test
