// Any bytes as a disk of one format: opening, examining and reading must end in content or an Error, never in anything
// else.
#pragma once

#include "formats/base/error.hpp"
#include "formats/block/open_disk.hpp"
#include "tests/support/memory_device.hpp"

#include <algorithm>
#include <cstdlib>

namespace vm2oci::test {

inline void read_some(const BlockDevice& device) {
    constexpr std::uint64_t kReadLimit = 4 * MiB;
    std::vector<std::byte> buffer(64 * KiB);
    std::uint64_t read_bytes = 0;
    for (std::uint64_t offset = 0; offset < device.size() && read_bytes < kReadLimit;) {
        const Extent extent = device.extent_at(offset);
        if (extent.length == 0 || extent.length > device.size() - offset)
            std::abort();
        const auto piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), extent.length));
        device.read_at(offset, piece);
        if (extent.kind != ExtentKind::data && !is_zero(piece))
            std::abort();
        read_bytes += piece.size();
        offset += extent.kind == ExtentKind::data ? piece.size() : extent.length;
    }
}

inline void open_and_read(const std::shared_ptr<const BlockDevice>& file, const DiskSource& source) {
    try {
        read_some(*open_disk(file, source).device);
    } catch (const Error&) {
    }
}

// A file of these bytes and, if it is to be longer, zeros.
inline std::shared_ptr<MemoryDevice> file_of(std::span<const std::uint8_t> bytes, std::uint64_t size = 0) {
    const auto file = std::make_shared<MemoryDevice>(std::max<std::uint64_t>(bytes.size(), size));
    file->put(0, std::as_bytes(bytes));
    return file;
}

inline void fuzz_disk(const std::shared_ptr<const BlockDevice>& file, DiskFormat format) {
    DiskSource source;
    source.format = format;
    open_and_read(file, source);
    source.scan = TableScan::none;
    source.policy.truncation = Tolerance::allow;
    source.policy.corrupt_bit = Tolerance::allow;
    open_and_read(file, source);
    examine_disk(file, source);
}

} // namespace vm2oci::test
