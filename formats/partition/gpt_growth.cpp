#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/partition/growth_tables.hpp"
#include "formats/partition/tables.hpp"

#include <libdeflate.h>

#include <algorithm>
#include <cstring>

namespace vm2oci::tables {
namespace {

constexpr std::string_view kNoGptRoom = "there is no room behind it";
constexpr std::uint32_t kSmallestHeader = 92;
// Places in a GPT's header.
constexpr std::size_t kHeaderSize = 12;
constexpr std::size_t kHeaderChecksum = 16;
constexpr std::size_t kOwnSector = 24;
constexpr std::size_t kOtherSector = 32;
constexpr std::size_t kLastUsable = 48;
constexpr std::size_t kEntriesSector = 72;
constexpr std::size_t kEntryCount = 80;
constexpr std::size_t kEntrySize = 84;
constexpr std::size_t kEntriesChecksum = 88;
constexpr std::size_t kFirstSectorOfEntry = 32;
constexpr std::size_t kLastSectorOfEntry = 40;

std::vector<std::byte> read_range(const BlockDevice& disk, std::uint64_t offset, std::uint64_t length) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(length));
    disk.read_at(offset, bytes);
    return bytes;
}

std::uint32_t checksum(std::span<const std::byte> bytes) {
    return libdeflate_crc32(0, bytes.data(), bytes.size());
}

class GptGrowth {
  public:
    GptGrowth(const BlockDevice& disk, const PartitionTable& table)
        : disk_(disk), table_(table), sector_(table.sector_size), sectors_(disk.size() / sector_),
          header_(read_range(disk, sector_, sector_)) {
        size_ = load_le<std::uint32_t>(header_.data() + kHeaderSize);
        if (size_ < kSmallestHeader || size_ > sector_)
            refuse();
        const auto stored = load_le<std::uint32_t>(header_.data() + kHeaderChecksum);
        seal_header();
        if (load_le<std::uint32_t>(header_.data() + kHeaderChecksum) != stored)
            refuse();
        // read_partitions() has held these against the disk.
        entry_size_ = load_le<std::uint32_t>(header_.data() + kEntrySize);
        table_bytes_ = std::uint64_t{load_le<std::uint32_t>(header_.data() + kEntryCount)} * entry_size_;
        table_sectors_ = divide_up(table_bytes_, sector_);
        entries_at_ = load_le<std::uint64_t>(header_.data() + kEntriesSector);
        if (table_bytes_ > kMaxGptTableBytes)
            refuse();
        entries_ = read_range(disk, checked_multiply(entries_at_, sector_, "GPT entries"), table_sectors_ * sector_);
    }

    TableGrowth grow(const PartitionRoom& room) {
        TableGrowth growth;
        const std::uint64_t old_other = load_le<std::uint64_t>(header_.data() + kOtherSector);
        if (table_sectors_ + 2 >= sectors_)
            refuse();
        const std::uint64_t last_usable = sectors_ - 2 - table_sectors_;
        std::uint64_t room_end = align_down((last_usable + 1) * sector_, kPartitionAlignment);
        if (room.moves != nullptr)
            room_end = move_entry(*room.moves, (last_usable + 1) * sector_, growth);
        if (room.grows != nullptr && growth.reason.empty())
            grow_entry(*room.grows, room_end, growth);
        erase_backup(old_other, growth);
        store_le(header_.data() + kLastUsable, last_usable);
        store_le(header_.data() + kOtherSector, sectors_ - 1);
        store_le(header_.data() + kEntriesChecksum, checksum(std::span(entries_).first(table_bytes_)));
        seal_header();
        growth.writes.push_back({entries_at_ * sector_, entries_});
        growth.writes.push_back({sector_, header_});
        store_le(header_.data() + kOwnSector, sectors_ - 1);
        store_le(header_.data() + kOtherSector, std::uint64_t{1});
        store_le(header_.data() + kEntriesSector, sectors_ - 1 - table_sectors_);
        seal_header();
        growth.writes.push_back({(sectors_ - 1 - table_sectors_) * sector_, entries_});
        growth.writes.push_back({(sectors_ - 1) * sector_, header_});
        grow_protective_entry(growth);
        return growth;
    }

  private:
    [[noreturn]] static void refuse() {
        fail(ErrorKind::corrupt, "the primary GPT is damaged: it is mended before the disk grows");
    }

    void seal_header() {
        store_le(header_.data() + kHeaderChecksum, std::uint32_t{0});
        store_le(header_.data() + kHeaderChecksum, checksum(std::span(header_).first(size_)));
    }

    // What was the backup may lie in a partition now, and is a GPT to whoever looks for one. It need not have been at
    // the end: images are enlarged by what knows no table.
    void erase_backup(std::uint64_t at, TableGrowth& growth) const {
        if (at < 2 || at >= sectors_)
            return;
        const std::uint64_t begin = at - std::min(table_sectors_, at - 2);
        const auto is_apart = [&](const Partition& each) {
            return each.offset + each.length <= begin * sector_ || each.offset > at * sector_;
        };
        const std::vector<std::byte> header = read_range(disk_, at * sector_, sector_);
        if (std::memcmp(header.data(), kGptSignature.data(), kGptSignature.size()) == 0 &&
            load_le<std::uint64_t>(header.data() + kOwnSector) == at &&
            std::ranges::all_of(table_.partitions, is_apart))
            growth.writes.push_back({begin * sector_, std::vector<std::byte>((at + 1 - begin) * sector_)});
    }

    std::byte* entry_of(const Partition& partition) {
        std::byte* entry = entries_.data() + std::size_t{partition.number - 1} * entry_size_;
        if (load_le<std::uint64_t>(entry + kFirstSectorOfEntry) * sector_ != partition.offset)
            refuse();
        return entry;
    }

    // Where it begins afterwards.
    std::uint64_t move_entry(const Partition& partition, std::uint64_t limit, TableGrowth& growth) {
        std::byte* entry = entry_of(partition);
        growth.moved_to = place_at_end(partition.offset, partition.length, limit);
        if (!growth.moved_to) {
            growth.reason = std::string(kNoGptRoom);
            return partition.offset;
        }
        store_le(entry + kFirstSectorOfEntry, *growth.moved_to / sector_);
        store_le(entry + kLastSectorOfEntry, (*growth.moved_to + partition.length) / sector_ - 1);
        return *growth.moved_to;
    }

    void grow_entry(const Partition& partition, std::uint64_t room_end, TableGrowth& growth) {
        std::byte* entry = entry_of(partition);
        if (room_end <= partition.offset + partition.length) {
            growth.reason = std::string(kNoGptRoom);
            return;
        }
        store_le(entry + kLastSectorOfEntry, room_end / sector_ - 1);
        growth.new_length = room_end - partition.offset;
    }

    // The one that keeps programs off that know no GPT covers the disk, as far as it can count.
    void grow_protective_entry(TableGrowth& growth) const {
        std::vector<std::byte> mbr = read_range(disk_, 0, kMbrSectorSize);
        for (std::size_t i = 0; i < kMbrEntries; ++i) {
            std::byte* entry = mbr.data() + kMbrEntriesAt + i * kMbrEntrySize;
            if (std::to_integer<unsigned>(entry[kMbrTypeAt]) == kTypeProtective &&
                load_le<std::uint32_t>(entry + kMbrStartAt) == 1)
                store_le(entry + kMbrLengthAt, static_cast<std::uint32_t>(std::min(sectors_ - 1, kMostMbrSectors)));
        }
        growth.writes.push_back({0, std::move(mbr)});
    }

    const BlockDevice& disk_;
    const PartitionTable& table_;
    std::uint64_t sector_;
    std::uint64_t sectors_;
    std::vector<std::byte> header_;
    std::uint32_t size_ = 0; // of the header
    std::uint32_t entry_size_ = 0;
    std::uint64_t table_bytes_ = 0;
    std::uint64_t table_sectors_ = 0;
    std::uint64_t entries_at_ = 0;
    std::vector<std::byte> entries_; // whole sectors
};

} // namespace

TableGrowth grow_gpt(const BlockDevice& disk, const PartitionTable& table, const PartitionRoom& room) {
    return GptGrowth(disk, table).grow(room);
}

} // namespace vm2oci::tables
