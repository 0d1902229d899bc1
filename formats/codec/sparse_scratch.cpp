#include "formats/codec/sparse_scratch.hpp"

#include "formats/base/error.hpp"
#include "formats/block/block_device.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace vm2oci {
namespace {

constexpr std::size_t kHole = 64 * KiB; // zeros are looked for in pieces of this size; a multiple of every block size
constexpr std::uint64_t kFreeScratch = 1 * GiB;
constexpr std::uint64_t kMaxScratchRatio = 1000;

std::string folder_text(const std::filesystem::path& folder) {
    return folder.empty() ? "the folder for scratch files" : folder.string();
}

} // namespace

std::uint64_t unpacked_budget(std::uint64_t stored) {
    const std::uint64_t room = (std::numeric_limits<std::uint64_t>::max() - kFreeScratch) / kMaxScratchRatio;
    return kFreeScratch + std::min(stored, room) * kMaxScratchRatio;
}

SparseScratch::SparseScratch(const std::filesystem::path& folder, const ScratchLimits& limits)
    : file_(scratch_file(folder)), folder_(folder_text(folder)), limits_(limits) {}

void SparseScratch::require_room(std::uint64_t bytes) const {
    struct statvfs room {};
    if (::fstatvfs(file_.get(), &room) != 0)
        fail_errno("cannot tell how much room there is in " + folder_, errno);
    const std::uint64_t available = static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize;
    if (bytes > available)
        fail(ErrorKind::io,
             fmt::format("{} has room for {}, and at least {} are needed", folder_, format_size(available),
                         format_size(bytes)),
             HintKind::scratch_folder);
}

void SparseScratch::write(std::span<const std::byte> bytes) {
    if (end_ > limits_.max_size || bytes.size() > limits_.max_size - end_)
        fail(ErrorKind::limit, fmt::format("it unpacks to more than the limit of {}", format_size(limits_.max_size)));
    while (!bytes.empty()) {
        const std::size_t to_boundary = kHole - static_cast<std::size_t>(end_ % kHole);
        const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), to_boundary));
        if (!is_zero(piece)) {
            written_ += piece.size();
            if (written_ > limits_.max_written)
                fail(ErrorKind::limit,
                     fmt::format("it unpacks to more than {} of scratch space, out of all proportion to its size",
                                 format_size(limits_.max_written)));
            with_hint(HintKind::scratch_folder, [&] {
                with_context("writing in " + folder_, [&] { write_exactly_at(file_.get(), end_, piece); });
            });
        }
        end_ += piece.size();
        bytes = bytes.subspan(piece.size());
    }
}

UniqueFd SparseScratch::take() {
    if (::ftruncate(file_.get(), static_cast<off_t>(end_)) != 0)
        fail_errno("cannot set the length of a scratch file in " + folder_, errno);
    return std::move(file_);
}

} // namespace vm2oci
