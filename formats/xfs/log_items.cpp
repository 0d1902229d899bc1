#include "formats/xfs/log_items.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::xfs {
namespace {

constexpr std::size_t kOperationHeader = 12; // transaction, length, client, flags
constexpr unsigned kClientTransaction = 0x69;
constexpr unsigned kClientLog = 0xaa;

constexpr unsigned kStart = 0x01;
constexpr unsigned kCommit = 0x02;
constexpr unsigned kContinue = 0x04; // the rest of the region is in the next record
constexpr unsigned kContinued = 0x08;
constexpr unsigned kEnd = 0x10;
constexpr unsigned kUnmount = 0x20;

constexpr std::size_t kTransactionHeader = 16;
constexpr std::uint32_t kTransactionMagic = 0x5452414e; // "TRAN"
constexpr std::uint64_t kRegionCost = 64;               // of keeping one, besides its bytes
constexpr std::size_t kMaxRegions = 1024;               // XLOG_MAX_REGIONS_IN_ITEM, less than that in practice

[[noreturn]] void fail_items(std::string_view what) {
    fail(ErrorKind::corrupt,
         fmt::format("the log of the xfs file system {}: run xfs_repair on it in its machine", what));
}

} // namespace

unsigned LogItem::type() const {
    return load_le<std::uint16_t>(regions.front().data());
}

void TransactionReader::add(const LogRecord& record) {
    std::span<const std::byte> rest = record.bytes;
    for (std::uint32_t i = 0; i < record.operations; ++i) {
        if (rest.size() < kOperationHeader)
            fail_items("has a record with fewer operations than it counts");
        const std::size_t length = load_be<std::uint32_t>(rest.data() + 4);
        if (length > rest.size() - kOperationHeader)
            fail_items("has an operation that is longer than its record");
        add_operation(record, rest.first(kOperationHeader), rest.subspan(kOperationHeader, length));
        rest = rest.subspan(kOperationHeader + length);
    }
}

void TransactionReader::add_operation(const LogRecord& record, std::span<const std::byte> head,
                                      std::span<const std::byte> body) {
    const std::uint32_t id = load_be<std::uint32_t>(head.data());
    const unsigned client = std::to_integer<unsigned>(head[8]);
    unsigned flags = std::to_integer<unsigned>(head[9]);
    if (client != kClientTransaction && client != kClientLog)
        fail_items("has an operation of nobody");
    const auto found = pending_.find(id);
    if (found == pending_.end()) {
        // The end of one whose beginning lies before the tail does not count.
        if ((flags & kStart) != 0) {
            charge(pending_[id], kRegionCost);
            pending_[id].transaction.number = record.number;
        }
        return;
    }
    Pending& pending = found->second;
    flags &= ~kEnd;
    if ((flags & kContinued) != 0)
        flags &= ~kContinue;
    switch (flags) {
    case 0:
    case kContinue:
        return add_region(pending, body);
    case kContinued:
        return continue_region(pending, body);
    case kCommit:
        for (const LogItem& item : pending.transaction.items)
            if (item.regions.size() != item.promised)
                fail_items("has a transaction without its end");
        committed_(pending.transaction);
        return drop(id);
    case kUnmount:
        return drop(id);
    default:
        fail_items("has an operation of no known kind");
    }
}

void TransactionReader::add_region(Pending& pending, std::span<const std::byte> body) {
    if (body.empty())
        return;
    if (pending.header.size() < kTransactionHeader) {
        if (!pending.header.empty() || body.size() > kTransactionHeader ||
            (body.size() >= 4 && load_le<std::uint32_t>(body.data()) != kTransactionMagic))
            fail_items("has a transaction without its beginning");
        pending.header.assign(body.begin(), body.end());
        return;
    }
    std::vector<LogItem>& items = pending.transaction.items;
    if (items.empty() || items.back().regions.size() == items.back().promised) {
        if (body.size() < 4)
            fail_items("has an item without a description");
        const std::size_t promised = load_le<std::uint16_t>(body.data() + 2);
        if (promised == 0 || promised > kMaxRegions)
            fail_items("has an item of an impossible size");
        charge(pending, kRegionCost);
        items.push_back({{}, promised});
    }
    charge(pending, body.size() + kRegionCost);
    items.back().regions.emplace_back(body.begin(), body.end());
}

void TransactionReader::continue_region(Pending& pending, std::span<const std::byte> body) {
    if (pending.header.size() < kTransactionHeader) {
        if (body.size() > kTransactionHeader - pending.header.size())
            fail_items("has a transaction without its beginning");
        pending.header.insert(pending.header.end(), body.begin(), body.end());
        return;
    }
    if (pending.transaction.items.empty())
        fail_items("goes on with what did not begin");
    charge(pending, body.size());
    std::vector<std::byte>& region = pending.transaction.items.back().regions.back();
    region.insert(region.end(), body.begin(), body.end());
}

void TransactionReader::charge(Pending& pending, std::uint64_t bytes) {
    pending.bytes += bytes;
    bytes_ += bytes;
    if (bytes_ > kMaxLoggedBytes)
        fail(ErrorKind::limit, "the log of the xfs file system has transactions larger than any real one");
}

void TransactionReader::drop(std::uint32_t id) {
    const auto found = pending_.find(id);
    bytes_ -= found->second.bytes;
    pending_.erase(found);
}

} // namespace vm2oci::xfs
