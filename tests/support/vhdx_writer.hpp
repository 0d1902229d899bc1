// Small VHDXs in memory, byte by byte, with logs that nobody carried out.
#pragma once

#include "formats/block/vhdx/guid.hpp"
#include "tests/support/image_bytes.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::test {

inline constexpr std::uint64_t kMegabyte = 1024UL * 1024;

// Where make_vhdx() puts things, in bytes.
namespace vhdx_at {
inline constexpr std::uint64_t headers[] = {64UL * 1024, 128UL * 1024};
inline constexpr std::uint64_t regions[] = {192UL * 1024, 256UL * 1024};
inline constexpr std::uint64_t log = 1 * kMegabyte;
inline constexpr std::uint64_t table = 2 * kMegabyte; // of blocks
inline constexpr std::uint64_t metadata = 3 * kMegabyte;
inline constexpr std::uint64_t items = metadata + 64UL * 1024; // parameters, size, id, logical, physical, locator
inline constexpr std::uint64_t blocks = 4 * kMegabyte;         // and the bitmap of a differencing disk first
} // namespace vhdx_at

struct VhdxShape {
    std::uint64_t block_size = kMegabyte;
    std::uint64_t size = 9 * kMegabyte + 512 * 8; // the last block is not whole
    std::uint32_t sector_size = 512;
    std::map<std::uint64_t, std::uint8_t> blocks; // fully there
    std::string data_guid = "11111111-2222-3333-4444-555555555555";
    std::optional<std::string> parent_guid;               // differencing
    std::map<std::uint64_t, std::uint8_t> partial_blocks; // of which every other sector is there
};

ImageBytes make_vhdx(const VhdxShape& shape);
// Computes the checksums of headers and region tables anew.
void seal_vhdx(ImageBytes& image);

// A page that a log writes, or a range that it makes zeros (`content` none).
struct LogChange {
    std::uint64_t offset = 0;
    std::uint64_t length = 4096;
    std::optional<std::vector<std::byte>> content; // a page
};

struct LogEntryShape {
    std::uint64_t slot = 0; // of 4 KiB, in the log
    std::uint64_t tail_slot = 0;
    std::uint64_t sequence = 1;
    std::uint64_t flushed_size = 0;
    std::uint64_t last_size = 0;
    std::vector<LogChange> changes;
};

inline constexpr const char* kLogGuid = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

// Says in both headers that there is a log, and seals them.
void mark_log(ImageBytes& image);
// Writes an entry, around the end of the log if need be; returns how many slots it takes.
std::uint64_t put_log_entry(ImageBytes& image, const LogEntryShape& entry);
// The checksum of an entry that a test has changed.
void seal_log_entry(ImageBytes& image, std::uint64_t slot, std::uint64_t slots);

} // namespace vm2oci::test
