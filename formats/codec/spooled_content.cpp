#include "formats/codec/spooled_content.hpp"

#include "formats/base/fd.hpp"

#include <algorithm>
#include <filesystem>
#include <limits>

namespace vm2oci {
namespace {

constexpr std::size_t kStoredStep = 256ull * 1024;

} // namespace

SpooledContent::SpooledContent(std::shared_ptr<const BlockDevice> layer, const OperationContext& operation,
                               DecodeLimits limits)
    : layer_(std::move(layer)), operation_(operation),
      scratch_(std::filesystem::path(operation.scratch_folder), {.max_written = unpacked_budget(layer_->size())}),
      decoder_(scratch_, limits), buffer_(kStoredStep) {}

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
    const std::size_t got = read_at(scratch_.fd(), offset, buffer);
    // Zeros at the end were never written.
    std::ranges::fill(buffer.subspan(got), std::byte{0});
    return buffer.size();
}

} // namespace vm2oci
