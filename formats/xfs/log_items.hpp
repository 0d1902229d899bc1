// Inside of the room: the transactions that a log's records are pieces of.
#pragma once

#include "formats/xfs/log_ring.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

namespace vm2oci::xfs {

// The kernel ends a transaction at 64 MiB.
inline constexpr std::uint64_t kMaxLoggedBytes = std::uint64_t{80} * 1024 * 1024;

// One changed thing: a description, and the bytes that it describes. Integers are the machine's that wrote it, which
// LogRing let be little-endian alone, but for those that are copied to the disk.
struct LogItem {
    std::vector<std::vector<std::byte>> regions; // the first, at least 4 bytes of it, is the description
    std::size_t promised = 0;                    // regions

    unsigned type() const;
};

struct LogTransaction {
    std::uint64_t number = 0; // of the record in which it begins
    std::vector<LogItem> items;
};

class TransactionReader {
  public:
    explicit TransactionReader(std::function<void(const LogTransaction&)> committed)
        : committed_(std::move(committed)) {}

    // In order. What was committed is handed on; what was not at the log's end does not count. Error: corrupt, limit.
    void add(const LogRecord& record);

  private:
    struct Pending {
        LogTransaction transaction;
        std::vector<std::byte> header;
        std::uint64_t bytes = 0;
    };

    void add_operation(const LogRecord& record, std::span<const std::byte> head, std::span<const std::byte> body);
    void add_region(Pending& pending, std::span<const std::byte> body);
    void continue_region(Pending& pending, std::span<const std::byte> body);
    void charge(Pending& pending, std::uint64_t bytes);
    void drop(std::uint32_t id);

    std::function<void(const LogTransaction&)> committed_;
    std::unordered_map<std::uint32_t, Pending> pending_;
    std::uint64_t bytes_ = 0; // of all that are pending
};

} // namespace vm2oci::xfs
