// Decodes single zstd frames whose size is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace vm2oci {

// Not thread-safe: one for each thread.
class FrameDecoder {
  public:
    FrameDecoder(); // Error{external} without memory
    ~FrameDecoder();
    FrameDecoder(FrameDecoder&&) noexcept;
    FrameDecoder& operator=(FrameDecoder&&) noexcept;

    // Fills `content`. Empty: done. Else why `stored` is not exactly one frame with that much content: whatever a
    // reader from the layer's beginning would see differently.
    std::string_view decode(std::span<const std::byte> stored, std::span<std::byte> content);

  private:
    struct Context;
    std::unique_ptr<Context> context_;
};

// Whether the header of a frame says that its content is that large.
bool frame_states_size(std::span<const std::byte> stored, std::uint64_t content_size);

} // namespace vm2oci
