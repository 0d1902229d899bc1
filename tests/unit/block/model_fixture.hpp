// A device held against the bytes and the extents that it should have.
#pragma once

#include "formats/base/error.hpp"
#include "formats/block/block_device.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace vm2oci::test {

// A disk of these characters; '0' is a byte of 0 in a hole, '.' one that the format says is zero.
inline std::shared_ptr<MemoryDevice> disk_of(std::string_view letters) {
    auto disk = std::make_shared<MemoryDevice>(letters.size());
    for (std::size_t i = 0; i < letters.size(); ++i) {
        if (letters[i] == '.')
            disk->declare(i, 1, ExtentKind::zero);
        else if (letters[i] != '0')
            disk->put(i, letters.substr(i, 1));
    }
    return disk;
}

// Every window of the disk reads as `letters` says ('0' and '.' are bytes of 0), every byte is of the kind that they
// say, no extent is longer than its kind, and what lies behind the end is refused.
inline void check_model(const BlockDevice& device, std::string_view letters) {
    REQUIRE(device.size() == letters.size());
    std::string wanted(letters);
    for (char& c : wanted)
        c = c == '0' || c == '.' ? '\0' : c;
    std::string read;
    for (std::size_t begin = 0; begin <= letters.size(); ++begin)
        for (std::size_t length = 0; length <= letters.size() - begin; ++length) {
            read.assign(length, '?');
            device.read_at(begin, std::as_writable_bytes(std::span(read.data(), read.size())));
            if (read != wanted.substr(begin, length)) {
                CAPTURE(begin, length, read);
                CHECK(read == wanted.substr(begin, length));
            }
        }
    const auto kind_of = [](char c) {
        return c == '0' ? ExtentKind::unallocated : c == '.' ? ExtentKind::zero : ExtentKind::data;
    };
    for (std::size_t offset = 0; offset < letters.size(); ++offset) {
        const Extent extent = device.extent_at(offset);
        CAPTURE(offset, extent.length);
        REQUIRE(extent.length > 0);
        REQUIRE(extent.length <= letters.size() - offset);
        for (std::size_t i = 0; i < extent.length; ++i)
            REQUIRE(extent.kind == kind_of(letters[offset + i]));
    }
    std::byte one[1];
    std::vector<std::byte> more(letters.size() + 1);
    CHECK_THROWS_AS(device.read_at(letters.size(), one), Error);
    CHECK_THROWS_AS(device.read_at(0, more), Error);
    CHECK_THROWS_AS(device.read_at(~std::uint64_t{0}, one), Error);
    CHECK_THROWS_AS(device.extent_at(letters.size()), Error);
}

} // namespace vm2oci::test
