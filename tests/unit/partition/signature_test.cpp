#include "formats/base/endian.hpp"
#include "formats/partition/signature.hpp"
#include "tests/support/corpus.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

template <class T>
void put_le(test::MemoryDevice& device, std::uint64_t offset, T value) {
    std::array<std::byte, sizeof(T)> bytes;
    store_le<T>(bytes.data(), value);
    device.put(offset, bytes);
}

} // namespace

TEST_CASE("signatures are read as blkid reads them") {
    const test::Corpus corpus(VM2OCI_GUEST_CORPUS);
    for (const test::CorpusRow& row : corpus.rows("signature")) {
        INFO(row.file);
        const std::optional<Signature> found = probe_signature(*corpus.open(row.file));
        REQUIRE(found);
        CHECK(found->type + "|" + found->uuid + "|" + found->label + "|" + found->version == row.detail);
    }
}

TEST_CASE("members of an array are recognised wherever their superblock stands") {
    constexpr std::uint64_t kSize = 8 * 1024 * 1024 + 3 * 512;
    const std::pair<std::uint64_t, const char*> places[] = {
        {0, "1.1"}, {4096, "1.2"}, {((kSize / 512 - 16) & ~std::uint64_t{7}) * 512, "1.0"}};
    for (const auto& [offset, version] : places) {
        INFO(version);
        test::MemoryDevice device(kSize);
        put_le<std::uint16_t>(device, 1024 + 56, 0xef53); // the file system inside the array
        put_le<std::uint32_t>(device, offset, 0xa92b4efc);
        put_le<std::uint32_t>(device, offset + 4, 1);
        device.put(offset + 16, "0123456789abcdef").put(offset + 32, "host:0");
        const std::optional<Signature> found = probe_signature(device);
        REQUIRE(found);
        CHECK(found->kind == ContentKind::raid);
        CHECK(found->version == version);
        CHECK(found->uuid == "30313233-3435-3637-3839-616263646566");
        CHECK(found->label == "host:0");
    }
    test::MemoryDevice old(kSize);
    put_le<std::uint32_t>(old, 8 * 1024 * 1024 - 65536, 0xa92b4efc);
    REQUIRE(probe_signature(old));
    CHECK(probe_signature(old)->version == "0.90");
}

TEST_CASE("erofs is recognised") {
    test::MemoryDevice device(1 << 20);
    put_le<std::uint32_t>(device, 1024, 0xe0f5e1e2);
    device.put(1024 + 48, "0123456789abcdef").put(1024 + 64, "name");
    REQUIRE(probe_signature(device));
    CHECK(probe_signature(device)->type == "erofs");
    CHECK(probe_signature(device)->label == "name");
}

TEST_CASE("nothing is recognised in nothing") {
    CHECK_FALSE(probe_signature(test::MemoryDevice(0)));
    CHECK_FALSE(probe_signature(test::MemoryDevice(1)));
    CHECK_FALSE(probe_signature(test::MemoryDevice(1 << 20)));
}

TEST_CASE("what lies over an old swap signature goes before it") {
    constexpr std::uint64_t kSize = 4 * 1024 * 1024 + 512;
    const auto put_swap = [](test::MemoryDevice& device) {
        device.put(4096 - 10, "SWAPSPACE2");
        put_le<std::uint32_t>(device, 1024, 1);
        put_le<std::uint32_t>(device, 1028, 255);
    };
    test::MemoryDevice alone(kSize);
    put_swap(alone);
    CHECK(probe_signature(alone)->type == "swap");
    for (const std::uint64_t at : {128 * 1024u, 128 * 1024u + 77 * 1024u, 4096 * 1024u - 512 * 1024u + 140 * 1024u}) {
        INFO(at);
        test::MemoryDevice device(kSize);
        put_swap(device);
        put_le<std::uint64_t>(device, at, 0x00bab10c);
        CHECK(probe_signature(device)->type == "zfs_member");
    }
    for (const auto& [at, magic] : {std::pair{8192u + 1372u, 0x00011954u}, std::pair{65536u + 1372u, 0x19540119u},
                                    std::pair{262144u + 1372u, 0x54190100u}}) {
        INFO(at);
        test::MemoryDevice device(kSize);
        put_swap(device);
        put_le<std::uint32_t>(device, at, magic);
        CHECK(probe_signature(device)->type == "ufs");
    }
}

TEST_CASE("a swap area is what its header says, and no header that Linux refuses says anything") {
    const auto area = [](std::uint64_t page, std::uint32_t version, std::uint32_t last, std::uint32_t bad) {
        test::MemoryDevice device(1 << 20);
        device.put(page - 10, "SWAPSPACE2");
        put_le<std::uint32_t>(device, 1024, version);
        put_le<std::uint32_t>(device, 1028, last);
        put_le<std::uint32_t>(device, 1032, bad);
        return read_swap_area(device);
    };
    REQUIRE(area(4096, 1, 99, 0));
    CHECK(area(4096, 1, 99, 0)->offset == 4096);
    CHECK(area(4096, 1, 99, 0)->length == 99 * 4096);
    CHECK(area(65536, 1, 15, 3)->length == 15 * 65536);
    CHECK(area(4096, 1, 255, 637));
    CHECK_FALSE(area(4096, 2, 99, 0));
    CHECK_FALSE(area(4096, 1, 0, 0));
    CHECK_FALSE(area(4096, 1, 256, 0));
    CHECK_FALSE(area(65536, 1, 99, 0));
    CHECK_FALSE(area(4096, 1, 99, 638));
    CHECK_FALSE(read_swap_area(test::MemoryDevice(1 << 20)));
}
