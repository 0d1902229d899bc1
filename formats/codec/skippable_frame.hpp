// Data beside the content of a zstd layer: skippable frames, which every reader passes over (RFC 8878, section 3.1.2).
#pragma once

#include "formats/base/sha256.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kSkippableHeaderSize = 8; // magic, size of what follows

// The frame with the first of the sixteen magic numbers. Error{limit} for 4 GiB and more.
std::vector<std::byte> make_skippable_frame(std::span<const std::byte> payload);

// Text that comes in pieces and is kept compressed, so that large tables cost little memory.
class TextPacker {
  public:
    TextPacker();
    ~TextPacker();
    TextPacker(const TextPacker&) = delete;
    TextPacker& operator=(const TextPacker&) = delete;

    void append(std::string_view text);
    // One zstd frame. Call once, last.
    std::vector<std::byte> finish();
    std::uint64_t text_size() const { return text_size_; }

  private:
    std::size_t step(void* in);

    struct Context;
    std::unique_ptr<Context> context_;
    std::vector<std::byte> packed_;
    std::uint64_t text_size_ = 0;
};

// The text of zstd frames. Error{corrupt} unless it has exactly `text_size` bytes.
std::string unpack_text(std::span<const std::byte> packed, std::uint64_t text_size);

} // namespace vm2oci
