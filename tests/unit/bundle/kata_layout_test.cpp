#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/empty.hpp"
#include "libconvert/bundle/kata_layout.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <string>

using namespace vm2oci;

TEST_CASE("a Kata image is a multiple of 128 MiB with room for what is asked") {
    for (const std::uint64_t needed : {std::uint64_t{1}, 124 * MiB, 124 * MiB + 1, 1000 * MiB}) {
        const KataImage image({std::make_shared<EmptyDevice>(kata_root_size(needed))}, 7);
        CHECK(kata_root_size(needed) >= needed);
        CHECK(image.size() % kKataAlignment == 0);
    }
    CHECK(kata_root_size(124 * MiB) == 124 * MiB);
}

TEST_CASE("both partition tables name the same partition, and the DAX header has a checksum that the kernel accepts") {
    const KataImage image({std::make_shared<EmptyDevice>(124 * MiB)}, 0x01020304);
    const auto word = [&](std::uint64_t at) {
        std::byte raw[4];
        image.read_at(at, raw);
        return load_le<std::uint32_t>(raw);
    };
    constexpr std::uint64_t kFirstSector = 446 + 8;
    CHECK(word(kFirstSector) * std::uint64_t{512} == kKataRootAt);
    CHECK(kKataHeader + word(kKataHeader + kFirstSector) * std::uint64_t{512} == kKataRootAt);
    CHECK(word(kFirstSector + 4) * std::uint64_t{512} == 124 * MiB);
    CHECK(word(440) == 0x01020304);

    std::vector<std::byte> info(4096);
    image.read_at(4096, info);
    CHECK(std::string(reinterpret_cast<const char*>(info.data())) == "NVDIMM_PFN_INFO");
    const std::uint64_t stored = load_le<std::uint64_t>(info.data() + 4088);
    std::fill(info.begin() + 4088, info.end(), std::byte{0});
    std::uint32_t low = 0;
    std::uint64_t high = 0;
    for (std::size_t i = 0; i < info.size(); i += 4) {
        low += load_le<std::uint32_t>(info.data() + i);
        high += low;
    }
    CHECK(stored == (high << 32 | low));
    CHECK(load_le<std::uint64_t>(info.data() + 56) == kKataHeader);
    CHECK(load_le<std::uint32_t>(info.data() + 84) == 2 * MiB);
}

TEST_CASE("reads cross the borders of the image's parts") {
    const KataImage image({std::make_shared<EmptyDevice>(124 * MiB)}, 7);
    std::vector<std::byte> across(2 * MiB, std::byte{0xff});
    image.read_at(kKataRootAt - MiB / 2, across);
    CHECK(is_zero(across));
    across.assign(across.size(), std::byte{0xff});
    image.read_at(image.size() - across.size(), across);
    CHECK(is_zero(across));
    CHECK(image.extent_at(0).length == kKataRootAt);
    CHECK(image.extent_at(image.size() - 1).kind == ExtentKind::unallocated);
}

TEST_CASE("further partitions lie behind the first, in both tables and in the image") {
    const auto root = std::make_shared<test::MemoryDevice>(100 * MiB);
    const auto tree = std::make_shared<test::MemoryDevice>(24 * MiB);
    root->put(0, "root");
    tree->put(0, "tree");
    const KataImage image({root, tree}, 7);
    CHECK(image.size() == 128 * MiB);
    const auto word = [&](std::uint64_t at) {
        std::byte raw[4];
        image.read_at(at, raw);
        return load_le<std::uint32_t>(raw);
    };
    constexpr std::uint64_t kSecondEntry = 446 + 16;
    for (const std::uint64_t table : {std::uint64_t{0}, kKataHeader}) {
        CHECK(table + word(table + kSecondEntry + 8) * std::uint64_t{512} == kKataRootAt + 100 * MiB);
        CHECK(word(table + kSecondEntry + 12) * std::uint64_t{512} == 24 * MiB);
    }
    std::array<std::byte, 4> text{};
    image.read_at(kKataRootAt, text);
    CHECK(as_text(text) == "root");
    image.read_at(kKataRootAt + 100 * MiB, text);
    CHECK(as_text(text) == "tree");
}
