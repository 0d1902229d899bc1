#include "formats/xfs/log_ring.hpp"

#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace vm2oci::xfs {
namespace {

constexpr std::uint32_t kRecordMagic = 0xfeedbabe;
constexpr std::uint64_t kLogBlock = kSectorOfAddresses;
constexpr std::uint64_t kMaxRecordBytes = 256 * KiB;
constexpr std::uint64_t kBytesOfHeader = 32 * KiB;                 // of data, whose first words one header keeps
constexpr std::size_t kWordsOfHeader = kBytesOfHeader / kLogBlock; // one of each block
constexpr std::uint64_t kWritesUnderway = 8;                       // records that may be written at the same time
constexpr std::uint64_t kMaxRecordBlocks = kMaxRecordBytes / kLogBlock + kMaxRecordBytes / kBytesOfHeader;

// Of the header.
constexpr std::size_t kAtVersion = 8;
constexpr std::size_t kAtLength = 12;
constexpr std::size_t kAtNumber = 16;
constexpr std::size_t kAtTail = 24;
constexpr std::size_t kAtChecksum = 32;
constexpr std::size_t kAtOperations = 40;
constexpr std::size_t kAtWords = 44;
constexpr std::size_t kAtByteOrder = 300;
constexpr std::size_t kAtUuid = 304;
constexpr std::size_t kAtSize = 320;
constexpr std::size_t kHeaderBytes = 328;     // what the checksum covers
constexpr std::size_t kHeaderBytes386 = 324;  // where it was written by 32 bits of x86
constexpr std::size_t kMoreHeaderBytes = 260; // of each further header block: the cycle and the words
constexpr std::uint32_t kLittleEndian = 1;

constexpr std::uint8_t kUnmountFlag = 0x20;

[[noreturn]] void fail_log(std::string_view what) {
    fail(ErrorKind::corrupt,
         fmt::format("the log of the xfs file system {}: run xfs_repair on it in its machine", what));
}

} // namespace

std::uint32_t LogRing::Header::u32(std::size_t at) const {
    return load_be<std::uint32_t>(bytes.data() + at);
}

std::uint64_t LogRing::Header::u64(std::size_t at) const {
    return load_be<std::uint64_t>(bytes.data() + at);
}

LogRing::LogRing(const Volume& volume)
    : volume_(volume), begin_(volume.geometry().offset_of(volume.geometry().log_start, 1)),
      blocks_(volume.geometry().log_blocks * volume.geometry().block_size / kLogBlock) {
    if (cycle_of(0) == 0 || ends_in_unmount()) { // never written to, or nothing was under way
        is_clean_ = true;
        return;
    }
    head_ = cut_torn_records(find_head());
    const std::uint64_t last = header_before(head_);
    const Header header = read_header(last);
    if (behind(last, header) == head_ && is_unmount(last, header)) {
        is_clean_ = true;
        return;
    }
    tail_ = header.u64(kAtTail) & 0xffffffff;
    if (tail_ >= blocks_)
        fail_log("begins behind its end");
}

void LogRing::read_blocks(std::uint64_t block, std::span<std::byte> buffer) const {
    while (!buffer.empty()) {
        block %= blocks_;
        const std::size_t step =
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), (blocks_ - block) * kLogBlock));
        volume_.read(begin_ + block * kLogBlock, buffer.first(step));
        buffer = buffer.subspan(step);
        block += step / kLogBlock;
    }
}

// Each block begins with the number of the round in which it was written; headers have it behind their magic.
std::uint32_t LogRing::cycle_of(std::uint64_t block) const {
    std::array<std::byte, 8> words;
    volume_.read(begin_ + block * kLogBlock, words);
    const std::uint32_t first = load_be<std::uint32_t>(words.data());
    return first == kRecordMagic ? load_be<std::uint32_t>(words.data() + 4) : first;
}

bool LogRing::is_header(std::uint64_t block) const {
    std::array<std::byte, 4> word;
    volume_.read(begin_ + block * kLogBlock, word);
    return load_be<std::uint32_t>(word.data()) == kRecordMagic;
}

// `last` has the cycle, `first` another one.
std::uint64_t LogRing::first_block_with(std::uint32_t cycle, std::uint64_t first, std::uint64_t last) const {
    while (last - first > 1) {
        const std::uint64_t middle = first + (last - first) / 2;
        (cycle_of(middle) == cycle ? last : first) = middle;
    }
    return last;
}

// An unmount waits for all writes before its record, so that the rounds change in one place: behind it. Told by a few
// blocks, where the search for unfinished writes reads megabytes.
bool LogRing::ends_in_unmount() const {
    const std::uint32_t first = cycle_of(0);
    const std::uint32_t last = cycle_of(blocks_ - 1);
    const std::uint64_t head = first == last ? 0 : first_block_with(last, 0, blocks_ - 1);
    constexpr std::uint64_t kMostBlocks = 9; // a header of the largest records, and one block of data
    for (std::uint64_t length = 2; length <= std::min(kMostBlocks, blocks_ - 1); ++length) {
        const std::uint64_t block = (head + blocks_ - length) % blocks_;
        if (!is_header(block))
            continue;
        if (cycle_of(block) != first) // it goes around the end of the ring
            return false;
        const Header header = read_header(block);
        return header.blocks + header.data_blocks == length && is_unmount(block, header);
    }
    return false;
}

// `end`: there is none.
std::uint64_t LogRing::first_in(std::uint64_t begin, std::uint64_t end, std::uint32_t cycle) const {
    while (begin < end && cycle_of(begin) != cycle)
        ++begin;
    return begin;
}

// Where the next record would go. Several writes may have been under way, so that the last blocks before it may be of
// the round before.
std::uint64_t LogRing::find_head() const {
    const std::uint32_t first = cycle_of(0);
    const std::uint32_t last = cycle_of(blocks_ - 1);
    const std::uint64_t record = volume_.geometry().log_version == LogVersion::v2 ? kMaxRecordBytes : kBytesOfHeader;
    const std::uint64_t back = std::min(blocks_, kWritesUnderway * record / kLogBlock);
    if (last == 0) {
        if (first != 1)
            fail_log("is none");
        const std::uint64_t head = first_block_with(0, 0, blocks_ - 1);
        return cut_partial_record(first_in(head - std::min(head, back), head, 0));
    }
    const std::uint32_t stale = first == last ? last - 1 : last;
    std::uint64_t head = first == last ? blocks_ : first_block_with(last, 0, blocks_ - 1);
    if (head >= back)
        return cut_partial_record(first_in(head - back, head, stale) % blocks_);
    // Across the end of the ring: a hole there is of the round before that.
    const std::uint64_t hole = first_in(blocks_ - (back - head), blocks_, stale - 1);
    head = hole < blocks_ ? hole : first_in(0, head, stale);
    return cut_partial_record(head % blocks_);
}

// A record that was not written to its end does not count.
std::uint64_t LogRing::cut_partial_record(std::uint64_t head) const {
    const std::uint64_t last = header_before(head);
    const Header header = read_header(last);
    return header.blocks + header.data_blocks == distance(last, head) ? head : last;
}

std::uint64_t LogRing::header_before(std::uint64_t block) const {
    for (std::uint64_t i = 0; i < std::min(blocks_, kMaxRecordBlocks); ++i) {
        block = (block + blocks_ - 1) % blocks_;
        if (is_header(block))
            return block;
    }
    fail_log("has no record where one must be");
}

// Of the records that may have been written at the same time the first whose checksum is wrong ends the log.
std::uint64_t LogRing::cut_torn_records(std::uint64_t head) const {
    std::uint64_t block = header_before(head);
    const std::uint64_t tail = read_header(block).u64(kAtTail) & 0xffffffff;
    for (std::uint64_t i = 1; i < kWritesUnderway && block != tail; ++i)
        block = header_before(block);
    const std::uint64_t oldest = block;
    for (std::uint64_t left = distance(block, head); left != 0;) {
        const Header header = read_header(block);
        const std::uint64_t length = header.blocks + header.data_blocks;
        std::vector<std::byte> data(static_cast<std::size_t>(header.data_blocks * kLogBlock));
        read_blocks(block + header.blocks, data);
        // mkfs.xfs writes the first record without a checksum.
        if (length > left || (header.u32(kAtChecksum) != 0 && !is_whole(block, header, data))) {
            // Nothing says where the log began.
            if (block == oldest)
                fail_log("has no whole record");
            return block;
        }
        block = (block + length) % blocks_;
        left -= length;
    }
    return head;
}

LogRing::Header LogRing::read_header(std::uint64_t block) const {
    Header header;
    header.bytes.resize(kLogBlock);
    read_blocks(block, header.bytes);
    header.length = header.u32(kAtLength);
    const std::uint32_t version = header.u32(kAtVersion);
    if (header.u32(0) != kRecordMagic || version == 0 || version > 3 || header.length == 0 ||
        header.length > kMaxRecordBytes)
        fail_log("is damaged between its records");
    const bool has_size = (version & 2) != 0 && volume_.geometry().log_version == LogVersion::v2;
    const std::uint64_t size = has_size ? header.u32(kAtSize) : kBytesOfHeader;
    if (size > kMaxRecordBytes)
        fail_log("has a record larger than records are");
    header.blocks = std::max<std::uint64_t>(1, (size + kBytesOfHeader - 1) / kBytesOfHeader);
    header.data_blocks = (header.length + kLogBlock - 1) / kLogBlock;
    if (header.data_blocks > header.blocks * kWordsOfHeader || header.blocks + header.data_blocks > blocks_)
        fail_log("has a record larger than records are");
    if (std::memcmp(header.bytes.data() + kAtUuid, volume_.geometry().uuid.data(), sizeof(Uuid)) != 0)
        fail_log("belongs to another file system");
    header.bytes.resize(static_cast<std::size_t>(header.blocks * kLogBlock));
    read_blocks(block, header.bytes);
    return header;
}

bool LogRing::is_whole(std::uint64_t block, const Header& header, std::span<const std::byte> data) const {
    if ((header.u64(kAtNumber) & 0xffffffff) != block)
        return false;
    const std::uint32_t stored = load_le<std::uint32_t>(header.bytes.data() + kAtChecksum);
    if (stored == 0 && !volume_.is_v5())
        return true; // such kernels had none
    std::vector<std::byte> blank = header.bytes;
    std::fill_n(blank.begin() + kAtChecksum, 4, std::byte{0});
    for (const std::size_t covered : {kHeaderBytes, kHeaderBytes386}) {
        std::uint32_t sum = crc32c(std::span<const std::byte>(blank).first(covered));
        for (std::uint64_t i = 1; i < header.blocks; ++i)
            sum = crc32c(
                std::span<const std::byte>(blank).subspan(static_cast<std::size_t>(i * kLogBlock), kMoreHeaderBytes),
                sum);
        if (crc32c(data.first(static_cast<std::size_t>(header.length)), sum) == stored)
            return true;
    }
    return false;
}

LogRecord LogRing::read_record(std::uint64_t block, const Header& header) const {
    LogRecord record{header.u64(kAtNumber), header.u32(kAtOperations), {}};
    record.bytes.resize(static_cast<std::size_t>(header.data_blocks * kLogBlock));
    read_blocks(block + header.blocks, record.bytes);
    if (!is_whole(block, header, record.bytes))
        fail_log("has a record with a wrong checksum in its middle");
    if (header.u32(kAtByteOrder) != kLittleEndian)
        fail(ErrorKind::unsupported, "the log of the xfs file system was written by a machine of another byte order: "
                                     "mount it once in its machine and shut that down cleanly");
    // The first word of each block made room for the cycle.
    for (std::size_t i = 0; i < header.data_blocks; ++i) {
        const std::size_t words = i / kWordsOfHeader == 0 ? kAtWords : i / kWordsOfHeader * kLogBlock + 4;
        std::copy_n(header.bytes.begin() + static_cast<std::ptrdiff_t>(words + i % kWordsOfHeader * 4), 4,
                    record.bytes.begin() + static_cast<std::ptrdiff_t>(i * kLogBlock));
    }
    record.bytes.resize(static_cast<std::size_t>(header.length));
    return record;
}

std::uint64_t LogRing::behind(std::uint64_t block, const Header& header) const {
    const std::uint64_t length = header.blocks + header.data_blocks;
    if (length > (block == head_ ? blocks_ : distance(block, head_)))
        fail_log("has a record that goes beyond its end");
    return (block + length) % blocks_;
}

bool LogRing::is_unmount(std::uint64_t block, const Header& header) const {
    std::array<std::byte, kLogBlock> data;
    read_blocks(block + header.blocks, data);
    return header.u32(kAtOperations) == 1 && (std::to_integer<std::uint8_t>(data[9]) & kUnmountFlag) != 0;
}

} // namespace vm2oci::xfs
