#include "tests/unit/block/qcow2_fixture.hpp"

#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>

#include <atomic>
#include <thread>

using namespace vm2oci;
using namespace vm2oci::test;
namespace format = vm2oci::qcow2;

namespace {

std::vector<std::byte> deflate_stream(std::span<const std::byte> bytes) {
    std::vector<std::byte> out(bytes.size() + 1024);
    libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
    out.resize(libdeflate_deflate_compress(compressor, bytes.data(), bytes.size(), out.data(), out.size()));
    libdeflate_free_compressor(compressor);
    return out;
}

std::vector<std::byte> zstd_frame(std::span<const std::byte> bytes) {
    std::vector<std::byte> out(ZSTD_compressBound(bytes.size()));
    out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
    return out;
}

// Bytes that do not compress to almost nothing.
std::vector<std::byte> noise(std::size_t size, unsigned seed) {
    std::vector<std::byte> bytes(size);
    std::uint32_t state = seed * 2654435761U + 1;
    for (std::byte& byte : bytes) {
        state = state * 1664525U + 1013904223U;
        byte = std::byte(state >> 28);
    }
    return bytes;
}

std::vector<std::byte> slice(const BlockDevice& device, std::uint64_t offset, std::size_t size) {
    std::vector<std::byte> bytes(size, std::byte{0xee});
    device.read_at(offset, bytes);
    return bytes;
}

Qcow2Shape zstd_shape() {
    Qcow2Shape shape;
    shape.incompatible = format::incompatible::compression_type;
    shape.compression = format::CompressionType::zstd;
    return shape;
}

} // namespace

TEST_CASE("every kind of cluster reads as what it is") {
    Qcow2Builder builder;
    builder.add_data(0, 1);
    builder.set_l2(1, format::kEntryZero);
    builder.set_l2(2, builder.append_cluster(9) | format::kEntryZero); // a place that is kept for later
    builder.add_data(4, 5);
    const OpenedDisk disk = open_qcow2(builder);
    const BlockDevice& device = *disk.device;
    CHECK(device.size() == 64 * KiB);
    CHECK(cluster_value(device, 0, 4096) == 1);
    CHECK(cluster_value(device, 1, 4096) == 0);
    CHECK(cluster_value(device, 2, 4096) == 0);
    CHECK(cluster_value(device, 3, 4096) == 0);
    CHECK(cluster_value(device, 4, 4096) == 5);

    const auto extent = [&](std::uint64_t cluster) { return device.extent_at(cluster * 4096 + 100); };
    CHECK(extent(0).kind == ExtentKind::data);
    CHECK(extent(0).length == 3996);
    CHECK(extent(1).kind == ExtentKind::zero);
    CHECK(extent(1).length == 2 * 4096 - 100);
    CHECK(extent(3).kind == ExtentKind::unallocated);
    CHECK(extent(4).kind == ExtentKind::data);
    CHECK(extent(5).kind == ExtentKind::unallocated);
    CHECK(extent(5).length == 11 * 4096 - 100);

    CHECK(disk.info.format == DiskFormat::qcow2);
    CHECK(disk.info.virtual_size == 64 * KiB);
    CHECK(disk.info.allocated_size == 8192);
    CHECK(qcow2_of(disk.info).clusters.data == 2);
    CHECK(qcow2_of(disk.info).clusters.zero == 2);
    CHECK(qcow2_of(disk.info).clusters.unallocated == 12);
    CHECK(qcow2_of(disk.info).clusters.compressed == 0);
    CHECK(disk.info.file_size == builder.end());
    CHECK(disk.container->size() == builder.end());
}

TEST_CASE("a read that begins and ends anywhere gets the right bytes") {
    Qcow2Builder builder;
    for (unsigned cluster = 0; cluster < 16; cluster += 1 + cluster % 3)
        builder.add_data(cluster, static_cast<std::uint8_t>(cluster + 1));
    const auto device = open_qcow2(builder).device;
    const std::vector<std::byte> all = read_all(*device);
    for (const std::uint64_t offset : {0U, 1U, 511U, 4095U, 4096U, 10000U, 40961U})
        for (const std::size_t size : {1U, 2U, 4096U, 4097U, 20000U})
            REQUIRE(std::ranges::equal(slice(*device, offset, size), std::span(all).subspan(offset, size)));
    std::vector<std::byte> buffer(2);
    CHECK(error_of([&] { device->read_at(64 * KiB - 1, buffer); }).kind() == ErrorKind::corrupt);
    CHECK(error_of([&] { device->read_at(UINT64_MAX, buffer); }).kind() == ErrorKind::corrupt);
}

TEST_CASE("contiguous clusters are read in one piece, also across L2 tables") {
    Qcow2Shape shape;
    shape.cluster_bits = 9;
    shape.size = 128 * 512; // two L2 tables of 64 entries
    Qcow2Builder builder(shape);
    builder.l2_offset(0);
    builder.l2_offset(64);
    for (unsigned cluster = 0; cluster < 128; ++cluster)
        builder.add_data(cluster, static_cast<std::uint8_t>(cluster));
    const auto file = builder.device();
    const auto device = open_qcow2(file).device;
    read_all(*device); // fills the cache of tables
    const std::uint64_t before = file->reads();
    const std::vector<std::byte> all = read_all(*device);
    CHECK(file->reads() - before == 1);
    for (std::size_t at = 0; at < all.size(); ++at)
        REQUIRE(all[at] == std::byte(at / 512));
    CHECK(device->extent_at(0).length == all.size());
}

TEST_CASE("a large hole costs one step") {
    Qcow2Shape shape;
    shape.cluster_bits = 16;
    shape.size = TiB;
    Qcow2Builder builder(shape);
    builder.add_data(TiB / 65536 - 1, 7);
    const auto file = builder.device();
    const auto device = open_qcow2(file).device;
    const std::uint64_t before = file->reads();
    const Extent hole = device->extent_at(0);
    CHECK(hole.kind == ExtentKind::unallocated);
    CHECK(hole.length == TiB - 65536);
    CHECK(file->reads() - before <= 1);
    CHECK(device->extent_at(hole.length).kind == ExtentKind::data);
    CHECK(cluster_value(*device, TiB / 65536 - 1, 65536) == 7);
}

TEST_CASE("a virtual size that is no multiple of the cluster ends where it says") {
    Qcow2Shape shape;
    shape.size = 3 * 4096 + 512;
    Qcow2Builder builder(shape);
    builder.add_data(2, 2);
    builder.add_data(3, 3);
    const OpenedDisk disk = open_qcow2(builder);
    CHECK(disk.device->size() == 3 * 4096 + 512);
    CHECK(slice(*disk.device, 3 * 4096, 512) == std::vector<std::byte>(512, std::byte{3}));
    CHECK(disk.device->extent_at(2 * 4096).length == 4096 + 512);
    CHECK(disk.info.allocated_size == 4096 + 512);

    shape.size = 3 * 4096 + 700; // QEMU shows whole sectors only
    CHECK(open_qcow2(Qcow2Builder(shape)).device->size() == 3 * 4096 + 512);
}

TEST_CASE("zlib clusters are decoded, wherever they lie and however they are read") {
    Qcow2Builder builder;
    builder.l2_offset(0);
    std::vector<std::vector<std::byte>> contents;
    for (unsigned cluster = 0; cluster < 8; ++cluster) {
        contents.push_back(noise(4096, cluster)); // about 2 KiB each: streams share sectors and cross clusters
        builder.add_compressed(cluster, deflate_stream(contents.back()));
    }
    builder.align();
    const OpenedDisk disk = open_qcow2(builder);
    CHECK(qcow2_of(disk.info).clusters.compressed == 8);
    CHECK(disk.info.allocated_size == 8 * 4096);
    for (unsigned cluster = 0; cluster < 8; ++cluster) {
        CHECK(slice(*disk.device, cluster * 4096, 4096) == contents[cluster]);
        const auto part = slice(*disk.device, cluster * 4096 + 1000, 100);
        CHECK(std::ranges::equal(part, std::span(contents[cluster]).subspan(1000, 100)));
    }
    const auto across = slice(*disk.device, 4000, 200);
    CHECK(std::ranges::equal(std::span(across).first(96), std::span(contents[0]).subspan(4000)));
    CHECK(std::ranges::equal(std::span(across).subspan(96), std::span(contents[1]).first(104)));
    CHECK(disk.device->extent_at(0).kind == ExtentKind::data);
    CHECK(disk.device->extent_at(0).length == 8 * 4096);
}

TEST_CASE("small reads of one compressed cluster decode it once") {
    Qcow2Builder builder;
    builder.add_compressed(0, deflate_stream(noise(4096, 1)));
    const auto file = builder.device();
    const auto device = open_qcow2(file).device;
    slice(*device, 0, 16);
    const std::uint64_t before = file->reads();
    for (unsigned at = 0; at < 4096; at += 16)
        slice(*device, at, 16);
    CHECK(file->reads() == before);
}

TEST_CASE("the last compressed cluster may be cut by the end of the disk and its last sector by the end of the file") {
    Qcow2Shape shape;
    shape.size = 4096 + 512;
    Qcow2Builder builder(shape);
    const auto content = noise(4096, 3);
    builder.add_compressed(1, deflate_stream(content));
    REQUIRE(builder.end() % 512 != 0);
    const auto device = open_qcow2(builder).device;
    CHECK(std::ranges::equal(slice(*device, 4096, 512), std::span(content).first(512)));
}

TEST_CASE("deflate streams that QEMU reads are read") {
    const auto content = noise(4096, 5);
    SECTION("a stream that goes on behind the cluster") {
        auto longer = content;
        longer.resize(5000, std::byte{1});
        Qcow2Builder builder;
        builder.add_compressed(0, deflate_stream(longer));
        CHECK(slice(*open_qcow2(builder).device, 0, 4096) == content);
    }
    SECTION("a stream without a last block") {
        std::vector<std::byte> stream(8192);
        z_stream state{};
        REQUIRE(deflateInit2(&state, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
        auto input = content;
        state.next_in = reinterpret_cast<Bytef*>(input.data());
        state.avail_in = static_cast<uInt>(input.size());
        state.next_out = reinterpret_cast<Bytef*>(stream.data());
        state.avail_out = static_cast<uInt>(stream.size());
        REQUIRE(deflate(&state, Z_SYNC_FLUSH) == Z_OK);
        stream.resize(stream.size() - state.avail_out);
        deflateEnd(&state);
        Qcow2Builder builder;
        builder.add_compressed(0, stream);
        CHECK(slice(*open_qcow2(builder).device, 0, 4096) == content);
    }
}

TEST_CASE("zstd clusters are decoded, also from several frames") {
    const auto content = noise(4096, 6);
    const auto one = zstd_frame(content);
    auto two = zstd_frame(std::span(content).first(1000));
    const auto rest = zstd_frame(std::span(content).subspan(1000));
    two.insert(two.end(), rest.begin(), rest.end());
    Qcow2Builder builder(zstd_shape());
    builder.add_compressed(0, one);
    builder.add_compressed(1, two);
    builder.append(std::vector<std::byte>(3000, std::byte{0xff})); // what follows in the last sector is no frame
    const OpenedDisk disk = open_qcow2(builder);
    CHECK(qcow2_of(disk.info).compression == "zstd");
    CHECK(slice(*disk.device, 0, 4096) == content);
    CHECK(slice(*disk.device, 4096, 4096) == content);
}

TEST_CASE("broken compressed clusters are an error, not zeros") {
    const bool zstd = GENERATE(false, true);
    const auto compress = [&](std::span<const std::byte> bytes) {
        return zstd ? zstd_frame(bytes) : deflate_stream(bytes);
    };
    Qcow2Builder builder(zstd ? zstd_shape() : Qcow2Shape{});
    const auto stream = compress(noise(4096, 7));
    SECTION("garbage") {
        builder.add_compressed(0, std::vector<std::byte>(600, std::byte{0xff}));
        builder.align();
    }
    SECTION("less than a cluster") {
        builder.add_compressed(0, compress(noise(4095, 7)));
        builder.align();
    }
    SECTION("too few sectors") {
        const std::uint64_t offset = builder.add_compressed(0, stream);
        builder.set_compressed(0, offset, 0);
        builder.align();
    }
    SECTION("the file ends inside it") {
        const std::uint64_t offset = builder.add_compressed(0, stream);
        builder.truncate(offset + stream.size() - 20);
    }
    const auto device = open_qcow2(builder).device;
    CHECK(error_of([&] { slice(*device, 0, 4096); }).kind() == ErrorKind::corrupt);
    CHECK(error_of([&] { slice(*device, 5, 7); }).kind() == ErrorKind::corrupt);
}

TEST_CASE("what is damaged at the end of the file is not called truncated") {
    const bool zstd = GENERATE(false, true);
    Qcow2Builder builder(zstd ? zstd_shape() : Qcow2Shape{});
    auto stream = zstd ? zstd_frame(noise(4096, 11)) : deflate_stream(noise(4096, 11));
    const std::size_t at = zstd ? 0 : GENERATE(0U, 3U);
    stream[at] = stream[at] ^ std::byte{0xff};
    builder.add_compressed(0, stream); // the last sector is not whole
    REQUIRE(builder.end() % 512 != 0);
    DiskSource source = declared(DiskFormat::qcow2);
    source.policy.truncation = Tolerance::allow;
    const auto device = open_disk(builder.device(), source).device;
    const Error error = error_of([&] { slice(*device, 0, 4096); });
    CHECK(error.kind() == ErrorKind::corrupt);
    CHECK(error.message().find("is broken") != std::string::npos);
}

TEST_CASE("a cluster that the file's end cuts is zeros where truncation is allowed") {
    const bool zstd = GENERATE(false, true);
    Qcow2Builder builder(zstd ? zstd_shape() : Qcow2Shape{});
    const auto stream = zstd ? zstd_frame(noise(4096, 12)) : deflate_stream(noise(4096, 12));
    const std::uint64_t offset = builder.add_compressed(0, stream);
    builder.truncate(offset + stream.size() - 20);
    DiskSource source = declared(DiskFormat::qcow2);
    source.policy.truncation = Tolerance::allow;
    const auto content = slice(*open_disk(builder.device(), source).device, 0, 4096);
    CHECK(content == std::vector<std::byte>(4096));
}

TEST_CASE("subclusters of extended L2 entries are read one by one") {
    Qcow2Shape shape;
    shape.cluster_bits = 14; // subclusters of 512 bytes
    shape.size = 4 * 16 * KiB;
    shape.incompatible = format::incompatible::extended_l2;
    Qcow2Builder builder(shape);
    const std::uint64_t place = builder.append_cluster(8);
    // Subclusters 0 and 1 allocated, 2 zero, 31 allocated, the rest unallocated.
    builder.set_l2(0, place | format::kEntryCopied, 0x80000003ULL | 0x4ULL << 32);
    builder.set_l2(1, 0, 0xffffffffULL << 32);
    builder.set_l2(2, builder.append_cluster(9), 0xffffffffULL);
    const OpenedDisk disk = open_qcow2(builder);
    const auto all = read_all(*disk.device);
    for (std::size_t at = 0; at < all.size(); ++at) {
        const std::size_t sub = at / 512;
        const unsigned expected = sub < 2 || sub == 31 ? 8 : sub / 32 == 2 ? 9 : 0;
        REQUIRE(std::to_integer<unsigned>(all[at]) == expected);
    }
    CHECK(disk.device->extent_at(0).length == 1024);
    CHECK(disk.device->extent_at(1024).kind == ExtentKind::zero);
    CHECK(disk.device->extent_at(1024).length == 512);
    CHECK(disk.device->extent_at(1536).kind == ExtentKind::unallocated);
    CHECK(disk.device->extent_at(1536).length == 28 * 512);
    CHECK(disk.device->extent_at(31 * 512).length == 512);
    CHECK(disk.device->extent_at(16 * KiB).kind == ExtentKind::zero);
    CHECK(qcow2_of(disk.info).clusters.data == 2);
    CHECK(qcow2_of(disk.info).clusters.zero == 1);
    CHECK(qcow2_of(disk.info).clusters.unallocated == 1);
    CHECK(disk.info.allocated_size == 3 * 512 + 16 * KiB);
}

TEST_CASE("version 2 is read") {
    Qcow2Shape shape;
    shape.version = format::kVersion2;
    Qcow2Builder builder(shape);
    builder.add_data(3, 4);
    const OpenedDisk disk = open_qcow2(builder);
    CHECK(qcow2_of(disk.info).version == 2);
    CHECK(qcow2_of(disk.info).refcount_bits == 16);
    CHECK(cluster_value(*disk.device, 3, 4096) == 4);

    builder.set_l2(5, format::kEntryZero);
    CHECK(refusal_of(builder).kind() == ErrorKind::corrupt);
}

TEST_CASE("a read that fails is an error of the machine, and the next one works") {
    Qcow2Builder builder;
    builder.add_data(0, 1);
    const std::uint64_t place = builder.add_data(1, 2);
    const auto file = builder.device();
    file->fail_reads(place, 512);
    const auto device = open_qcow2(file).device;
    std::vector<std::byte> buffer(8192);
    CHECK(error_of([&] { device->read_at(0, buffer); }).kind() == ErrorKind::io);
    CHECK(cluster_value(*device, 0, 4096) == 1);

    for (const std::uint64_t offset : {std::uint64_t{0}, builder.l1_offset(), builder.l2_offset(0)}) {
        const auto broken = builder.device();
        broken->fail_reads(offset, 8);
        CHECK(error_of([&] { open_qcow2(broken); }).kind() == ErrorKind::io);
    }
}

TEST_CASE("many threads read one device") {
    Qcow2Shape shape;
    shape.cluster_bits = 9;
    shape.size = 4 * MiB; // 128 L2 tables: more than the cache holds
    Qcow2Builder builder(shape);
    for (unsigned cluster = 0; cluster < 8192; cluster += 3)
        builder.add_data(cluster, static_cast<std::uint8_t>(cluster));
    const auto device = open_qcow2(builder).device;
    const auto expected = read_all(*device);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (unsigned seed = 1; seed <= 4; ++seed)
        threads.emplace_back([&, seed] {
            std::uint32_t state = seed;
            for (int round = 0; round < 300; ++round) {
                state = state * 1664525U + 1013904223U;
                const std::uint64_t offset = state % (4 * MiB - 10000);
                const auto bytes = slice(*device, offset, 10000);
                if (!std::ranges::equal(bytes, std::span(expected).subspan(offset, 10000)))
                    ++wrong;
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    CHECK(wrong == 0);
}
