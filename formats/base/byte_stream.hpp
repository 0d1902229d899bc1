// Where bytes come from, in order.
#pragma once

#include <cstddef>
#include <span>

namespace vm2oci {

// Not thread-safe. Methods throw Error where what is behind is damaged or cannot be read.
class ByteStream {
  public:
    virtual ~ByteStream() = default;
    // Bytes that are ready, at least one; empty at the end. Valid until the next call of any method.
    virtual std::span<const std::byte> available() = 0;
    // At most as many as available() gave last.
    virtual void consume(std::size_t count) = 0;
};

class MemoryStream final : public ByteStream {
  public:
    // `bytes` outlive the stream.
    explicit MemoryStream(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::span<const std::byte> available() override { return bytes_; }
    void consume(std::size_t count) override { bytes_ = bytes_.subspan(count); }

  private:
    std::span<const std::byte> bytes_;
};

} // namespace vm2oci
