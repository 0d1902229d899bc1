#include "formats/block/raw_writer.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/block/parallel.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>

namespace vm2oci {
namespace {

// A worker's: large enough that the file system can place it in one run, and small enough that what the workers read
// stays nearly in order, for whoever hashes it on the way.
constexpr std::uint64_t kShareSize = 4 * MiB;
constexpr std::uint64_t kReadSize = 1 * MiB;
constexpr std::uint64_t kBlockSize = 4 * KiB; // the smallest hole that file systems keep

// Writes `bytes`, which belong at `offset`, without the blocks of the file that would be all zeros.
std::uint64_t write_sparse(int fd, std::uint64_t offset, std::span<const std::byte> bytes) {
    std::uint64_t written = 0;
    std::size_t run_begin = 0; // of bytes not yet written
    std::size_t at = 0;
    while (at < bytes.size()) {
        const std::uint64_t block_end = align_down(offset + at, kBlockSize) + kBlockSize;
        const auto length = std::min(static_cast<std::size_t>(block_end - (offset + at)), bytes.size() - at);
        if (is_zero(bytes.subspan(at, length))) {
            write_exactly_at(fd, offset + run_begin, bytes.subspan(run_begin, at - run_begin));
            written += at - run_begin;
            run_begin = at + length;
        }
        at += length;
    }
    write_exactly_at(fd, offset + run_begin, bytes.subspan(run_begin));
    return written + bytes.size() - run_begin;
}

std::uint64_t write_share(const BlockDevice& device, std::uint64_t begin, std::uint64_t end, int fd,
                          const OperationContext& context) {
    const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kReadSize);
    std::uint64_t written = 0;
    while (begin < end) {
        context.check_cancelled();
        const Extent extent = device.extent_at(begin);
        std::uint64_t part_end = std::min(begin + extent.length, end);
        if (extent.kind == ExtentKind::data) {
            part_end = std::min(part_end, align_down(begin, kReadSize) + kReadSize);
            const std::span part(buffer.get(), static_cast<std::size_t>(part_end - begin));
            device.read_at(begin, part);
            written += write_sparse(fd, begin, part);
        }
        context.progress->advance(part_end - begin);
        begin = part_end;
    }
    return written;
}

} // namespace

std::uint64_t write_raw_file(const BlockDevice& device, int fd, const OperationContext& context) {
    const std::uint64_t size = device.size();
    if (::ftruncate(fd, checked_cast<off_t>(size, "the disk's size")) != 0)
        fail_errno("cannot give the file " + std::to_string(size) + " bytes", errno);
    std::atomic<std::uint64_t> written{0};
    parallel_for(divide_up(size, kShareSize), context, [&](std::uint64_t share) {
        const std::uint64_t begin = share * kShareSize;
        written += write_share(device, begin, std::min(begin + kShareSize, size), fd, context);
    });
    return written;
}

} // namespace vm2oci
