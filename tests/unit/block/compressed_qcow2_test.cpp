#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/qcow2/compressed_writer.hpp"
#include "formats/block/qcow2/format.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>
#include <libdeflate.h>
#include <zstd.h>

#include <random>

using namespace vm2oci;
using namespace vm2oci::qcow2;
using test::MemoryDevice;

namespace {

std::vector<std::byte> compressed(const std::shared_ptr<const BlockDevice>& disk, CompressionType type,
                                  unsigned threads = 2) {
    const CanonicalQcow2 image(disk, map_allocation(*disk, {}));
    const UniqueFd fd = scratch_file({});
    OperationContext context;
    context.threads = threads;
    const std::uint64_t size = write_compressed_qcow2(image, type, fd.get(), context);
    CHECK(size == file_size(fd.get()));
    std::vector<std::byte> content(size);
    read_exactly_at(fd.get(), 0, content);
    return content;
}

void inflate(CompressionType type, std::span<const std::byte> blob, std::span<std::byte> cluster) {
    if (type == CompressionType::zstd) {
        ZSTD_DCtx* state = ZSTD_createDCtx();
        ZSTD_inBuffer in{blob.data(), blob.size(), 0};
        ZSTD_outBuffer out{cluster.data(), cluster.size(), 0};
        const std::size_t left = ZSTD_decompressStream(state, &out, &in);
        ZSTD_freeDCtx(state);
        REQUIRE(left == 0);
        REQUIRE(out.pos == cluster.size());
        return;
    }
    libdeflate_decompressor* state = libdeflate_alloc_decompressor();
    std::size_t in = 0;
    std::size_t out = 0;
    const auto result =
        libdeflate_deflate_decompress_ex(state, blob.data(), blob.size(), cluster.data(), cluster.size(), &in, &out);
    libdeflate_free_decompressor(state);
    REQUIRE(result == LIBDEFLATE_SUCCESS);
    REQUIRE(out == cluster.size());
}

struct Decoded {
    std::vector<std::byte> guest;
    std::uint64_t plain = 0;
    std::uint64_t packed = 0;
};

// Follows the tables by hand and counts every reference.
Decoded decode(const std::vector<std::byte>& file, CompressionType type) {
    const auto get32 = [&](std::uint64_t at) { return load_be<std::uint32_t>(&file.at(at)); };
    const auto get64 = [&](std::uint64_t at) { return load_be<std::uint64_t>(&file.at(at)); };
    const bool zstd = type == CompressionType::zstd;
    REQUIRE(get64(header_offset::incompatible_features) == (zstd ? incompatible::compression_type : 0));
    REQUIRE(get32(header_offset::header_length) == 112);
    REQUIRE(file[header_offset::compression_type] == static_cast<std::byte>(type));
    REQUIRE(file.size() % kClusterSize == 0);
    const std::uint64_t clusters = file.size() / kClusterSize;
    std::vector<unsigned> references(clusters, 0);
    std::vector<unsigned> counts(clusters, 0);
    const auto refer = [&](std::uint64_t begin, std::uint64_t end) {
        for (std::uint64_t cluster = begin / kClusterSize; cluster <= (end - 1) / kClusterSize; ++cluster)
            ++references.at(cluster);
    };
    refer(0, 1);
    const std::uint64_t table = get64(header_offset::refcount_table_offset);
    const std::uint64_t table_end = table + get32(header_offset::refcount_table_clusters) * kClusterSize;
    refer(table, table_end);
    std::uint64_t counted = 0;
    for (std::uint64_t at = table; at < table_end; at += 8)
        if (const std::uint64_t block = get64(at); block != 0) {
            refer(block, block + kClusterSize);
            for (std::uint64_t k = 0; k < kClusterSize; k += 2, ++counted) {
                const auto count = load_be<std::uint16_t>(&file.at(block + k));
                if (counted < clusters)
                    counts[counted] = count;
                else
                    REQUIRE(count == 0);
            }
        }
    Decoded result;
    const std::uint64_t size = get64(header_offset::size);
    result.guest.resize((size + kClusterSize - 1) / kClusterSize * kClusterSize);
    const std::uint64_t l1 = get64(header_offset::l1_table_offset);
    const std::uint64_t l1_size = get32(header_offset::l1_size);
    refer(l1, l1 + l1_size * 8);
    for (std::uint64_t i = 0; i < l1_size; ++i) {
        const std::uint64_t l2 = get64(l1 + i * 8) & kEntryOffsetMask;
        if (l2 == 0)
            continue;
        refer(l2, l2 + kClusterSize);
        for (std::uint64_t k = 0; k < kClusterSize / 8; ++k) {
            const std::uint64_t entry = get64(l2 + k * 8);
            if (entry == 0)
                continue;
            const auto cluster = std::span(result.guest).subspan((i * 8192 + k) * kClusterSize, kClusterSize);
            if ((entry & kEntryCompressed) == 0) {
                const std::uint64_t host = entry & kEntryOffsetMask;
                refer(host, host + kClusterSize);
                std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(host), kClusterSize, cluster.begin());
                ++result.plain;
                continue;
            }
            REQUIRE((entry & kEntryCopied) == 0);
            const unsigned bits = compressed_offset_bits(16);
            const std::uint64_t host = entry & ((std::uint64_t{1} << bits) - 1);
            const std::uint64_t sectors = ((entry & ~(std::uint64_t{3} << 62)) >> bits) + 1;
            const std::uint64_t end = host / 512 * 512 + sectors * 512;
            refer(host, end);
            inflate(type, std::span(file).subspan(host, end - host), cluster);
            ++result.packed;
        }
    }
    REQUIRE(references == counts);
    result.guest.resize(size);
    return result;
}

// Text that compresses well, noise that does not, and holes.
std::shared_ptr<MemoryDevice> mixed_disk(std::uint64_t size, std::uint64_t seed) {
    auto disk = std::make_shared<MemoryDevice>(size);
    std::mt19937_64 random(seed);
    for (std::uint64_t at = 0; at + kClusterSize <= size; at += kClusterSize) {
        const auto kind = random() % 4;
        if (kind == 0)
            continue;
        std::vector<std::byte> bytes(kClusterSize);
        for (std::byte& byte : bytes)
            byte = static_cast<std::byte>(kind == 1 ? random() : kind == 2 ? 'a' + random() % 4 : 'z');
        disk->put(at, bytes);
    }
    return disk;
}

} // namespace

TEST_CASE("the guest's disk comes back from a compressed image, and every reference is counted") {
    const auto type = GENERATE(CompressionType::zlib, CompressionType::zstd);
    const auto size = GENERATE(as<std::uint64_t>{}, 65536, 5 * MiB + 512, 10 * MiB);
    const auto disk = mixed_disk(size, size);
    disk->put(size - 4, "tail");
    const std::vector<std::byte> file = compressed(disk, type);
    const Decoded decoded = decode(file, type);
    std::vector<std::byte> expected(size);
    disk->read_at(0, expected);
    CHECK(decoded.guest == expected);
    if (size > MiB) {
        CHECK(decoded.plain > 10);
        CHECK(decoded.packed > 10);
    }
}

TEST_CASE("an empty disk compresses to tables") {
    const std::vector<std::byte> file = compressed(std::make_shared<MemoryDevice>(0), CompressionType::zstd);
    CHECK(decode(file, CompressionType::zstd).guest.empty());
    CHECK(file.size() == 4 * kClusterSize);
}

TEST_CASE("blobs are packed to the byte and may cross clusters") {
    const auto disk = std::make_shared<MemoryDevice>(1000 * kClusterSize);
    std::mt19937_64 random(1);
    std::vector<std::byte> bytes(kClusterSize);
    for (std::uint64_t cluster = 0; cluster < 1000; ++cluster) {
        for (std::byte& byte : bytes)
            byte = static_cast<std::byte>('a' + random() % 2);
        disk->put(cluster * kClusterSize, bytes);
    }
    const std::vector<std::byte> file = compressed(disk, CompressionType::zstd);
    CHECK(decode(file, CompressionType::zstd).packed == 1000);
    CHECK(file.size() < 1000 * kClusterSize / 5); // one bit in eight, and what the format adds
}

TEST_CASE("a compressed image does not depend on the number of threads") {
    const auto type = GENERATE(CompressionType::zlib, CompressionType::zstd);
    const auto disk = mixed_disk(12 * MiB, 3);
    const std::vector<std::byte> one = compressed(disk, type, 1);
    CHECK(one == compressed(disk, type, 8));
    CHECK(one == compressed(disk, type, 1));
}

TEST_CASE("a failing read leaves no header") {
    const auto disk = mixed_disk(4 * MiB, 5);
    const CanonicalQcow2 image(disk, map_allocation(*disk, {}));
    disk->fail_reads(3 * MiB, MiB, ErrorKind::corrupt);
    const UniqueFd fd = scratch_file({});
    CHECK_THROWS_AS(write_compressed_qcow2(image, CompressionType::zlib, fd.get(), {}), Error);
    std::vector<std::byte> head(512);
    const std::size_t length = read_at(fd.get(), 0, head);
    CHECK(is_zero(std::span(head).first(length)));
}
