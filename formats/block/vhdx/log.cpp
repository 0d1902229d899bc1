#include "formats/block/vhdx/log.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/patched.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace vm2oci::vhdx {
namespace {

constexpr std::uint64_t kMaxLogBytes = 32 * MiB; // held in memory
constexpr std::uint64_t kSlotBytes = 4 * KiB;    // everything in a log begins at multiples of this
constexpr std::size_t kEntryHeadBytes = 64;
constexpr std::size_t kDescriptorBytes = 32;
constexpr std::uint64_t kDataBytes = 4084; // of a page, in its data sector; the other twelve are in the descriptor
// Checksums of entries that lie over each other would take time that grows with the square of the log's size.
constexpr std::uint64_t kMaxChecksumPasses = 4;

struct LogEntry {
    std::uint64_t slot = 0;
    std::uint64_t slots = 0;
    std::uint64_t tail_slot = 0;
    std::uint64_t sequence = 0;
    std::uint32_t descriptors = 0;
    std::uint64_t flushed_size = 0; // the file was at least so long when the entry was written
    std::uint64_t last_size = 0;    // and is to be so long now
};

class LogReader {
  public:
    LogReader(const BlockDevice& file, const FileHeader& header);

    // From tail to head.
    std::vector<LogEntry> find_active_sequence() const;
    void apply(const LogEntry& entry, PatchedDevice& target) const;
    // Where the last byte ends that the entry changes.
    std::uint64_t reach(const LogEntry& entry) const;

  private:
    // Bytes of the ring from a slot on; `length` ends before the slot's own end.
    std::span<const std::byte> at(std::uint64_t slot, std::uint64_t offset, std::size_t length) const {
        const std::uint64_t place = (slot * kSlotBytes + offset) % bytes_.size();
        return std::span(bytes_).subspan(static_cast<std::size_t>(place), length);
    }
    std::optional<LogEntry> parse_entry(std::uint64_t slot);
    bool checksum_is_right(const LogEntry& entry, std::uint32_t stored);
    std::optional<std::vector<LogEntry>> sequence_of(const LogEntry& head) const;
    template <class Visit>
    void visit_descriptors(const LogEntry& entry, Visit&& visit) const;

    std::vector<std::byte> bytes_;
    Guid guid_;
    std::uint64_t slots_;
    std::uint64_t checksum_budget_;
    Region log_;
    std::vector<std::optional<LogEntry>> entries_; // by slot: sound by themselves
};

LogReader::LogReader(const BlockDevice& file, const FileHeader& header)
    : guid_(header.log_guid), slots_(header.log.length / kSlotBytes), log_(header.log) {
    if (header.log.length > kMaxLogBytes)
        fail(ErrorKind::limit, fmt::format("the VHDX' log has {}; the limit is {}; open and close the disk in Hyper-V, "
                                           "which carries it out",
                                           format_size(header.log.length), format_size(kMaxLogBytes)));
    if (header.log.end() > file.size())
        fail(ErrorKind::corrupt, "the VHDX' log ends beyond the file: it is truncated; get it again");
    bytes_.resize(static_cast<std::size_t>(header.log.length));
    file.read_at(header.log.offset, bytes_);
    checksum_budget_ = kMaxChecksumPasses * bytes_.size();
    entries_.resize(static_cast<std::size_t>(slots_));
    for (std::uint64_t slot = 0; slot < slots_; ++slot)
        entries_[static_cast<std::size_t>(slot)] = parse_entry(slot);
}

std::optional<LogEntry> LogReader::parse_entry(std::uint64_t slot) {
    const std::byte* head = at(slot, 0, kEntryHeadBytes).data();
    if (as_text(at(slot, 0, 4)) != "loge" || load_guid(head + 32) != guid_)
        return std::nullopt;
    const auto length = load_le<std::uint32_t>(head + 8);
    const auto tail = load_le<std::uint32_t>(head + 12);
    LogEntry entry;
    entry.slot = slot;
    entry.slots = length / kSlotBytes;
    entry.tail_slot = tail / kSlotBytes;
    entry.sequence = load_le<std::uint64_t>(head + 16);
    entry.descriptors = load_le<std::uint32_t>(head + 24);
    entry.flushed_size = load_le<std::uint64_t>(head + 48);
    entry.last_size = load_le<std::uint64_t>(head + 56);
    const std::uint64_t descriptor_bytes = kEntryHeadBytes + std::uint64_t{entry.descriptors} * kDescriptorBytes;
    if (length == 0 || length % kSlotBytes != 0 || length > bytes_.size() || tail % kSlotBytes != 0 ||
        tail >= bytes_.size() || entry.sequence == 0 || descriptor_bytes > length)
        return std::nullopt;
    if (!checksum_is_right(entry, load_le<std::uint32_t>(head + 4)))
        return std::nullopt;
    return entry;
}

bool LogReader::checksum_is_right(const LogEntry& entry, std::uint32_t stored) {
    const std::uint64_t length = entry.slots * kSlotBytes;
    if (length > checksum_budget_)
        fail(ErrorKind::corrupt, "the entries of the VHDX' log lie over each other");
    checksum_budget_ -= length;
    std::vector<std::byte> first(kSlotBytes);
    std::ranges::copy(at(entry.slot, 0, kSlotBytes), first.begin());
    store_le<std::uint32_t>(&first[4], 0);
    std::uint32_t crc = crc32c(first);
    for (std::uint64_t i = 1; i < entry.slots; ++i)
        crc = crc32c(at(entry.slot, i * kSlotBytes, kSlotBytes), crc);
    return crc == stored;
}

// What leads from the entry's tail to it without a gap.
std::optional<std::vector<LogEntry>> LogReader::sequence_of(const LogEntry& head) const {
    std::vector<LogEntry> sequence;
    std::uint64_t slot = head.tail_slot;
    std::uint64_t used = 0;
    while (true) {
        const std::optional<LogEntry>& entry = entries_[static_cast<std::size_t>(slot)];
        if (!entry || (!sequence.empty() && entry->sequence != sequence.back().sequence + 1))
            return std::nullopt;
        used += entry->slots;
        if (used > slots_)
            return std::nullopt;
        sequence.push_back(*entry);
        if (slot == head.slot)
            return sequence;
        slot = (slot + entry->slots) % slots_;
    }
}

std::vector<LogEntry> LogReader::find_active_sequence() const {
    std::vector<LogEntry> heads;
    for (const std::optional<LogEntry>& entry : entries_)
        if (entry)
            heads.push_back(*entry);
    std::ranges::sort(heads, std::ranges::greater{}, &LogEntry::sequence);
    std::optional<std::vector<LogEntry>> active;
    for (const LogEntry& head : heads) {
        if (active && head.sequence != active->back().sequence)
            break;
        std::optional<std::vector<LogEntry>> sequence = sequence_of(head);
        if (sequence && active)
            fail(ErrorKind::corrupt, "the VHDX' log holds two sequences of changes that are equally new");
        if (sequence)
            active = std::move(sequence);
    }
    if (!active)
        fail(ErrorKind::corrupt, "the VHDX was not closed, and its log holds no sound sequence of changes: the file is "
                                 "damaged");
    return *std::move(active);
}

// Calls visit(descriptor, data sector or nothing, file offset, length) for each.
template <class Visit>
void LogReader::visit_descriptors(const LogEntry& entry, Visit&& visit) const {
    const std::uint64_t head_slots =
        divide_up(kEntryHeadBytes + std::uint64_t{entry.descriptors} * kDescriptorBytes, kSlotBytes);
    std::uint64_t next_data = head_slots;
    const auto broken = [&](std::string_view what) {
        fail(ErrorKind::corrupt, fmt::format("entry {} of the VHDX' log {}", entry.sequence, what));
    };
    for (std::uint64_t i = 0; i < entry.descriptors; ++i) {
        const auto descriptor = at(entry.slot, kEntryHeadBytes + i * kDescriptorBytes, kDescriptorBytes);
        const auto offset = load_le<std::uint64_t>(&descriptor[16]);
        if (load_le<std::uint64_t>(&descriptor[24]) != entry.sequence)
            broken("has a descriptor of another entry");
        const bool is_data = as_text(descriptor).starts_with("desc");
        if (!is_data && !as_text(descriptor).starts_with("zero"))
            broken("has a descriptor that is not known here");
        const std::uint64_t length = is_data ? kSlotBytes : load_le<std::uint64_t>(&descriptor[8]);
        std::uint64_t end = 0;
        if (offset % kSlotBytes != 0 || length % kSlotBytes != 0 || __builtin_add_overflow(offset, length, &end))
            broken("changes what does not lie at pages");
        if (offset < kHeaderSectionBytes || (offset < log_.end() && log_.offset < end))
            broken("changes the headers or the log itself");
        std::span<const std::byte> data;
        if (is_data) {
            if (next_data == entry.slots)
                broken("has less data than it says");
            data = at(entry.slot, next_data++ * kSlotBytes, kSlotBytes);
            const std::uint64_t sequence =
                std::uint64_t{load_le<std::uint32_t>(&data[4])} << 32 | load_le<std::uint32_t>(&data[kSlotBytes - 4]);
            if (!as_text(data).starts_with("data") || sequence != entry.sequence)
                broken("has data of another entry");
        }
        visit(descriptor, data, offset, length);
    }
}

std::uint64_t LogReader::reach(const LogEntry& entry) const {
    std::uint64_t end = entry.last_size;
    visit_descriptors(entry, [&](auto /*descriptor*/, auto /*data*/, std::uint64_t offset, std::uint64_t length) {
        end = std::max(end, offset + length);
    });
    return end;
}

void LogReader::apply(const LogEntry& entry, PatchedDevice& target) const {
    visit_descriptors(entry, [&](std::span<const std::byte> descriptor, std::span<const std::byte> data,
                                 std::uint64_t offset, std::uint64_t length) {
        if (data.empty()) {
            target.zero(offset, length);
            return;
        }
        // Leading bytes u64, what the data sector holds, trailing bytes u32.
        PatchedDevice::Page page;
        std::ranges::copy(descriptor.subspan(8, 8), page.begin());
        std::ranges::copy(data.subspan(8, kDataBytes), page.begin() + 8);
        std::ranges::copy(descriptor.subspan(4, 4), page.end() - 4);
        target.write_page(offset, page);
    });
}

} // namespace

Replay replay_log(DevicePtr file, const FileHeader& header) {
    if (header.log_guid == kNullGuid)
        return {std::move(file), 0};
    const LogReader log(*file, header);
    const std::vector<LogEntry> sequence = log.find_active_sequence();
    if (sequence.back().flushed_size > file->size())
        fail(ErrorKind::corrupt,
             fmt::format("the VHDX had {} bytes when its log was written, and the file has {}: it is "
                         "truncated; get it again",
                         sequence.back().flushed_size, file->size()));
    std::uint64_t size = file->size();
    for (const LogEntry& entry : sequence)
        size = std::max(size, log.reach(entry));
    const auto patched =
        std::make_shared<PatchedDevice>(std::move(file), align_up(size, PatchedDevice::kPageBytes, "size of the file"));
    for (const LogEntry& entry : sequence)
        log.apply(entry, *patched);
    return {patched, static_cast<std::uint32_t>(sequence.size())};
}

} // namespace vm2oci::vhdx
