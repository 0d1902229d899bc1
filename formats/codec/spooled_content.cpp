#include "formats/codec/spooled_content.hpp"

#include "formats/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>

namespace vm2oci {
namespace {

constexpr std::size_t kStoredStep = 256 * 1024;
constexpr std::size_t kHole = 64 * 1024; // zeros are looked for in pieces of this size; a multiple of every block size
// A disk that is full of one pattern packs some ten thousand times; beyond a GiB such a thing is more likely a bomb.
constexpr std::uint64_t kFreeAmplification = 1 * GiB;
constexpr std::uint64_t kMaxAmplification = 1000;

std::uint64_t scratch_budget(std::uint64_t stored) {
    const std::uint64_t room = (std::numeric_limits<std::uint64_t>::max() - kFreeAmplification) / kMaxAmplification;
    return kFreeAmplification + std::min(stored, room) * kMaxAmplification;
}

} // namespace

void SpooledContent::ScratchSink::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const std::size_t to_boundary = kHole - static_cast<std::size_t>(end_ % kHole);
        const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), to_boundary));
        if (!is_zero(piece)) {
            written_ += piece.size();
            if (written_ > max_written_)
                fail(
                    ErrorKind::limit,
                    fmt::format("the layer decodes to more than {} of scratch space, out of all proportion to its size",
                                format_size(max_written_)));
            write_exactly_at(fd_, end_, piece);
        }
        end_ += piece.size();
        bytes = bytes.subspan(piece.size());
    }
}

SpooledContent::SpooledContent(std::shared_ptr<const BlockDevice> layer, const OperationContext& operation,
                               DecodeLimits limits)
    : layer_(std::move(layer)), operation_(operation),
      file_(scratch_file(std::filesystem::path(operation.scratch_folder))),
      scratch_(file_.get(), scratch_budget(layer_->size())), decoder_(scratch_, limits), buffer_(kStoredStep) {}

std::uint64_t SpooledContent::decode_up_to(std::uint64_t end) const {
    const std::lock_guard lock(mutex_);
    while (!finished_ && scratch_.end() < end) {
        operation_.check_cancelled();
        // A decoder that failed cannot go on: the bytes that made it fail are gone.
        if (failure_)
            std::rethrow_exception(failure_);
        try {
            decode_step();
        } catch (...) {
            failure_ = std::current_exception();
            throw;
        }
    }
    return scratch_.end();
}

void SpooledContent::decode_step() const {
    const std::uint64_t left = layer_->size() - read_;
    const std::span<std::byte> step =
        std::span(buffer_).first(static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer_.size())));
    layer_->read_at(read_, step);
    read_ += step.size();
    decoder_.write(step);
    if (read_ == layer_->size()) {
        decoder_.finish();
        finished_ = true;
    }
}
std::uint64_t SpooledContent::size() const {
    return decode_up_to(std::numeric_limits<std::uint64_t>::max());
}

std::size_t SpooledContent::read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    const std::uint64_t wanted_end =
        offset + std::min<std::uint64_t>(buffer.size(), std::numeric_limits<std::uint64_t>::max() - offset);
    const std::uint64_t end = decode_up_to(wanted_end);
    if (offset >= end)
        return 0;
    buffer = buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), end - offset)));
    const std::size_t got = read_at(file_.get(), offset, buffer);
    // Zeros at the end were never written.
    std::ranges::fill(buffer.subspan(got), std::byte{0});
    return buffer.size();
}

} // namespace vm2oci
