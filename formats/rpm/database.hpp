// The databases in which rpm keeps the headers of what is installed: sqlite (since 2020), ndb (SUSE), and the hash of
// Berkeley DB (before).
#pragma once

#include "formats/base/source.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace vm2oci {

inline constexpr std::uint64_t kMaxRpmDatabase = 4ull * 1024 * 1024 * 1024; // a full desktop has 300 MiB

// A file, and what was written to it that has not reached it yet (sqlite's write-ahead log; null: there is none).
struct RpmDatabaseFile {
    const ByteSource* file;
    std::uint64_t size = 0;
    const ByteSource* log = nullptr;
    std::uint64_t log_size = 0;
};

// Calls `visit` with each package's header, in the order of the file; the span is valid during the call. Work is
// bounded by the size of the file, whatever it says. Error{corrupt, limit}; Error{unsupported} for a file of another
// kind.
using VisitRpmHeader = std::function<void(std::span<const std::byte> header)>;
void for_each_rpm_header(const RpmDatabaseFile& database, const VisitRpmHeader& visit);

} // namespace vm2oci
