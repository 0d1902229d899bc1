#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/copy.hpp"
#include "formats/block/open_disk.hpp"
#include "formats/block/qcow2/compressed_writer.hpp"
#include "tests/support/collecting_sink.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace vm2oci;
using test::CollectingSink;
using test::MemoryDevice;

namespace {

// Runs of every kind of content at any place, in extents of any kind that the content allows.
std::shared_ptr<MemoryDevice> random_disk(std::mt19937_64& random) {
    const std::uint64_t size = (1 + random() % (random() % 4 == 0 ? 300'000 : 20'000)) * 512;
    auto disk = std::make_shared<MemoryDevice>(size);
    for (std::uint64_t runs = random() % 20; runs != 0; --runs) {
        const std::uint64_t offset = random() % size;
        const std::uint64_t length = std::min(size - offset, random() % (random() % 2 == 0 ? 5'000 : 500'000));
        std::vector<std::byte> bytes(length);
        switch (random() % 4) {
        case 0: // zeros that are written down
            break;
        case 1:
            std::fill(bytes.begin(), bytes.end(), static_cast<std::byte>(random()));
            break;
        case 2:
            std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::byte>(random()); });
            break;
        default:
            std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::byte>(random() % 3); });
        }
        disk->put(offset, bytes);
    }
    if (random() % 2 == 0)
        disk->limit_extents((1 + random() % 300) * 512);
    return disk;
}

std::shared_ptr<const BlockDevice> in_memory(std::span<const std::byte> bytes) {
    auto device = std::make_shared<MemoryDevice>(bytes.size());
    device->put(0, bytes);
    return device;
}

std::vector<std::byte> canonical(const std::shared_ptr<const BlockDevice>& disk, unsigned threads) {
    OperationContext context;
    context.threads = threads;
    const CanonicalQcow2 image(disk, map_allocation(*disk, context));
    CollectingSink sink;
    copy_bytes(image, sink, context);
    return sink.content;
}

std::vector<std::byte> compressed(const std::shared_ptr<const BlockDevice>& disk, qcow2::CompressionType type,
                                  unsigned threads) {
    OperationContext context;
    context.threads = threads;
    const UniqueFd fd = scratch_file({});
    const CanonicalQcow2 image(disk, map_allocation(*disk, context));
    std::vector<std::byte> bytes(write_compressed_qcow2(image, type, fd.get(), context));
    read_exactly_at(fd.get(), 0, bytes);
    return bytes;
}

bool same_content(const BlockDevice& left, const BlockDevice& right) {
    if (left.size() != right.size())
        return false;
    std::vector<std::byte> one(MiB);
    std::vector<std::byte> other(MiB);
    for (std::uint64_t offset = 0; offset < left.size(); offset += MiB) {
        const auto length = static_cast<std::size_t>(std::min(MiB, left.size() - offset));
        left.read_at(offset, std::span(one).first(length));
        right.read_at(offset, std::span(other).first(length));
        if (!std::equal(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(length), other.begin()))
            return false;
    }
    return true;
}

} // namespace

TEST_CASE("any disk survives being written and read back, and its image is the same every time") {
    DiskSource source;
    source.path = "memory";
    source.format = DiskFormat::qcow2;
    std::mt19937_64 random(20);
    for (int round = 0; round < 16; ++round) {
        CAPTURE(round);
        const auto disk = random_disk(random);
        const std::vector<std::byte> file = canonical(disk, 1);
        REQUIRE(canonical(disk, 8) == file);
        const OpenedDisk read_back = open_disk(in_memory(file), source);
        REQUIRE(same_content(*disk, *read_back.device));
        REQUIRE(canonical(read_back.device, 2) == file);
        for (const auto type : {qcow2::CompressionType::zlib, qcow2::CompressionType::zstd}) {
            const std::vector<std::byte> packed = compressed(disk, type, 1);
            const OpenedDisk unpacked = open_disk(in_memory(packed), source);
            REQUIRE(same_content(*disk, *unpacked.device));
            REQUIRE(canonical(unpacked.device, 2) == file);
            REQUIRE(compressed(read_back.device, type, 8) == packed);
        }
    }
}
