// Any bytes as the parts of a VHDX: sixteen pages, each put where a part begins, with the checksums that they should
// have.
#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "tests/fuzz/disk_fuzz.hpp"

#include <array>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr std::size_t kPage = 4 * KiB;
// Identifier, headers, region tables, five pages of the log, metadata and its items, table, blocks.
constexpr std::array<std::uint64_t, 16> kPlaces = {
    0,           64 * KiB,        128 * KiB,       192 * KiB,       256 * KiB, MiB,
    MiB + kPage, MiB + 2 * kPage, MiB + 3 * kPage, MiB + 4 * kPage, 2 * MiB,   2 * MiB + 64 * KiB,
    3 * MiB,     3 * MiB + kPage, 4 * MiB,         5 * MiB};

void seal(MemoryDevice& file, std::uint64_t offset, std::uint64_t length) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(length));
    file.read_at(offset, bytes);
    store_le<std::uint32_t>(&bytes[4], 0);
    store_le<std::uint32_t>(&bytes[4], crc32c(bytes));
    file.put(offset, std::span<const std::byte>(bytes).first(8));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto file = std::make_shared<MemoryDevice>(8 * MiB);
    for (std::size_t i = 0; i < kPlaces.size() && i * kPage < bytes.size(); ++i)
        file->put(kPlaces[i], bytes.subspan(i * kPage, std::min(kPage, bytes.size() - i * kPage)));
    for (const std::uint64_t header : {64 * KiB, 128 * KiB})
        seal(*file, header, kPage);
    for (const std::uint64_t table : {192 * KiB, 256 * KiB})
        seal(*file, table, 64 * KiB);
    // The first entry of the log is as long as it says, within what is written of it.
    std::array<std::byte, 4> length;
    file->read_at(MiB + 8, length);
    seal(*file, MiB, std::clamp<std::uint64_t>(load_le<std::uint32_t>(length.data()), 64, 5 * kPage));
    fuzz_disk(file, DiskFormat::vhdx);
    return 0;
}
