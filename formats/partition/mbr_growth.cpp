#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/partition/growth_tables.hpp"
#include "formats/partition/tables.hpp"

#include <algorithm>
#include <map>

namespace vm2oci::tables {
namespace {

constexpr std::string_view kNoMbrRoom = "there is no room behind it that an MBR can count";

// One entry of a table: the MBR's own, or that of an extended boot record.
struct Place {
    std::uint64_t sector; // of the disk
    std::size_t entry;
};

// A record of the chain in an extended partition.
struct Record {
    std::uint64_t sector;      // of the disk
    std::optional<Place> link; // the entry that leads here; none: the first
};

// The tables' sectors, changed in memory.
class MbrGrowth {
  public:
    MbrGrowth(const BlockDevice& disk, const PartitionTable& table)
        : disk_(disk), end_(std::min(align_down(disk.size(), kPartitionAlignment) / kMbrSectorSize, kMostMbrSectors)) {
        for (const Partition& partition : table.partitions)
            if (partition.role == PartitionRole::extended) {
                extended_ = partition.offset / kMbrSectorSize;
                walk(partition);
            }
    }

    TableGrowth grow(const PartitionRoom& room) {
        TableGrowth growth;
        constexpr std::uint64_t most = kMostMbrSectors * kMbrSectorSize;
        growth.uncounted = disk_.size() - std::min(disk_.size(), most);
        std::uint64_t room_end = end_;
        if (room.moves != nullptr) {
            growth.moved_to = place_at_end(room.moves->offset, room.moves->length, end_ * kMbrSectorSize);
            const std::optional<std::uint64_t> from =
                growth.moved_to ? move(*room.moves, *growth.moved_to) : std::nullopt;
            if (!from) {
                growth.moved_to.reset();
                growth.reason = std::string(kNoMbrRoom);
                return growth;
            }
            room_end = align_down(*from * kMbrSectorSize, kPartitionAlignment) / kMbrSectorSize;
        }
        if (room.grows != nullptr)
            growth.new_length = grow_entry(*room.grows, room_end, room.moves == nullptr);
        if (room.grows != nullptr && !growth.new_length) {
            growth.moved_to.reset();
            growth.reason = std::string(kNoMbrRoom);
            return growth;
        }
        for (const auto& [sector, bytes] : changed_)
            growth.writes.push_back({sector * kMbrSectorSize, bytes});
        return growth;
    }

  private:
    using Sector = std::vector<std::byte>;

    Sector& sector(std::uint64_t number) {
        const auto [found, is_new] = changed_.try_emplace(number);
        if (is_new) {
            found->second.resize(kMbrSectorSize);
            disk_.read_at(number * kMbrSectorSize, found->second);
        }
        return found->second;
    }
    std::byte* at(const Place& place) {
        return sector(place.sector).data() + kMbrEntriesAt + place.entry * kMbrEntrySize;
    }

    // read_partitions() has followed the chain before, and refused one that has no end.
    void walk(const Partition& extended) {
        std::optional<Place> link;
        for (std::uint64_t record = extended_;;) {
            records_.push_back({record, link});
            link.reset();
            Sector bytes(kMbrSectorSize);
            disk_.read_at(record * kMbrSectorSize, bytes);
            for (std::size_t i = 0; i < kMbrEntries && !link; ++i) {
                const std::byte* entry = bytes.data() + kMbrEntriesAt + i * kMbrEntrySize;
                if (is_extended(std::to_integer<unsigned char>(entry[kMbrTypeAt])) &&
                    load_le<std::uint32_t>(entry + kMbrLengthAt) != 0)
                    link = Place{record, i};
            }
            const std::uint64_t next =
                link ? extended_ + load_le<std::uint32_t>(bytes.data() + kMbrEntriesAt + link->entry * kMbrEntrySize +
                                                          kMbrStartAt)
                     : 0;
            if (next <= record || next * kMbrSectorSize >= extended.offset + extended.length ||
                records_.size() > kMaxLogicalPartitions)
                return;
            record = next;
        }
    }

    Place primary(const Partition& partition) const { return {0, partition.number - 1}; }

    // The record of a logical partition: the last that lies before it.
    const Record* record_of(const Partition& partition) const {
        const Record* found = nullptr;
        for (const Record& record : records_)
            if (record.sector * kMbrSectorSize < partition.offset &&
                (found == nullptr || record.sector > found->sector))
                found = &record;
        return found;
    }

    std::optional<Place> logical(const Partition& partition, const Record& record) {
        for (std::size_t i = 0; i < kMbrEntries; ++i) {
            const Place place{record.sector, i};
            const std::byte* entry = at(place);
            if (!is_extended(std::to_integer<unsigned char>(entry[kMbrTypeAt])) &&
                (record.sector + load_le<std::uint32_t>(entry + kMbrStartAt)) * kMbrSectorSize == partition.offset)
                return place;
        }
        return std::nullopt;
    }

    // Heads and cylinders do not count so far: the largest of them says so.
    static void set_beyond_heads(std::byte* at) {
        at[0] = std::byte{0xfe};
        at[1] = std::byte{0xff};
        at[2] = std::byte{0xff};
    }
    void set_start(const Place& place, std::uint64_t start) {
        store_le(at(place) + kMbrStartAt, static_cast<std::uint32_t>(start));
        set_beyond_heads(at(place) + 1);
        set_beyond_heads(at(place) + 5);
    }
    void set_length(const Place& place, std::uint64_t sectors) {
        store_le(at(place) + kMbrLengthAt, static_cast<std::uint32_t>(sectors));
        set_beyond_heads(at(place) + 5);
    }
    void set_end_of_extended(std::uint64_t end) {
        for (std::size_t i = 0; i < kMbrEntries; ++i)
            if (const Place place{0, i}; is_extended(std::to_integer<unsigned char>(at(place)[kMbrTypeAt])) &&
                                         load_le<std::uint32_t>(at(place) + kMbrStartAt) == extended_)
                set_length(place, end - extended_);
    }

    void move_sector(std::uint64_t from, std::uint64_t to) {
        sector(to) = sector(from);
        std::ranges::fill(sector(from), std::byte{0});
    }

    // The first sector that is not free for what grows. none: it heads the chain, which begins where it does.
    std::optional<std::uint64_t> move(const Partition& partition, std::uint64_t to) {
        const std::uint64_t distance = (to - partition.offset) / kMbrSectorSize;
        const std::uint64_t start = to / kMbrSectorSize;
        if (partition.role == PartitionRole::primary) {
            set_start(primary(partition), start);
            return start;
        }
        if (partition.role == PartitionRole::extended) {
            // Links count from where the extended partition begins, and entries from their record. Backwards: the
            // places may overlap.
            for (auto record = records_.rbegin(); record != records_.rend(); ++record)
                move_sector(record->sector, record->sector + distance);
            set_start(primary(partition), start);
            return start;
        }
        const Record* record = record_of(partition);
        if (record == nullptr || !record->link || !logical(partition, *record))
            return std::nullopt;
        move_sector(record->sector, record->sector + distance);
        set_start(*record->link, record->sector + distance - extended_);
        set_end_of_extended(start + partition.length / kMbrSectorSize);
        return record->sector + distance;
    }

    // Its new length in bytes; none: it would not be longer.
    std::optional<std::uint64_t> grow_entry(const Partition& partition, std::uint64_t room_end, bool is_last) {
        const std::uint64_t start = partition.offset / kMbrSectorSize;
        if (room_end <= start + partition.length / kMbrSectorSize)
            return std::nullopt;
        if (partition.role == PartitionRole::extended)
            return std::nullopt;
        if (partition.role == PartitionRole::logical) {
            const Record* record = record_of(partition);
            const std::optional<Place> place = record == nullptr ? std::nullopt : logical(partition, *record);
            if (!place)
                return std::nullopt;
            set_length(*place, room_end - start);
            if (record->link)
                set_length(*record->link, room_end - record->sector);
            if (is_last)
                set_end_of_extended(room_end);
        } else {
            set_length(primary(partition), room_end - start);
        }
        return (room_end - start) * kMbrSectorSize;
    }

    const BlockDevice& disk_;
    std::uint64_t end_;          // sectors: what a partition may reach to
    std::uint64_t extended_ = 0; // its first sector
    std::vector<Record> records_;
    std::map<std::uint64_t, Sector> changed_;
};

} // namespace

TableGrowth grow_mbr(const BlockDevice& disk, const PartitionTable& table, const PartitionRoom& room) {
    if (room.grows == nullptr && room.moves == nullptr)
        return {};
    const auto is_extended = [](const Partition& each) { return each.role == PartitionRole::extended; };
    if (std::ranges::count_if(table.partitions, is_extended) > 1)
        return {{}, std::nullopt, std::nullopt, "there is more than one extended partition"};
    return MbrGrowth(disk, table).grow(room);
}

} // namespace vm2oci::tables
