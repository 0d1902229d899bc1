// Compressed grains: a marker that says whose they are, and a zlib stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

struct libdeflate_decompressor;

namespace vm2oci::vmdk {

// What stands before the stream: sector of the guest's disk u64, bytes u32.
inline constexpr std::size_t kGrainMarkerBytes = 12;

// Decodes one grain after another; not thread-safe.
class GrainDecoder {
  public:
    GrainDecoder();
    GrainDecoder(GrainDecoder&&) noexcept;
    GrainDecoder& operator=(GrainDecoder&&) noexcept;
    ~GrainDecoder();

    // Room for marker and stream, kept from one grain to the next; what is in it stays when it grows.
    std::span<std::byte> input_buffer(std::size_t size);

    // Fills `grain` from a whole stream; at the end of the disk it is shorter than `grain_size`, and what the stream
    // has behind it is not seen. False if the stream is broken, or does not fill it.
    [[nodiscard]] bool decode(std::span<const std::byte> stream, std::uint64_t grain_size, std::span<std::byte> grain);

  private:
    struct Free {
        void operator()(libdeflate_decompressor* decompressor) const;
    };
    std::unique_ptr<libdeflate_decompressor, Free> decompressor_;
    std::vector<std::byte> input_;
    std::vector<std::byte> whole_; // a grain of which only a part is wanted
};

} // namespace vm2oci::vmdk
