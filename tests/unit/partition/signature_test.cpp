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
