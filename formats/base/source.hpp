// Where bytes come from, at any offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vm2oci {

// Bytes whose end may not be known before it is reached. Thread-safe.
class ByteSource {
  public:
    virtual ~ByteSource() = default;
    // Fills the buffer from `offset`; returns how much it filled, which is less than asked only where the source ends.
    virtual std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const = 0;
};

} // namespace vm2oci
