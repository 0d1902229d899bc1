// Where bytes go, in order.
#pragma once

#include <cstddef>
#include <span>

namespace vm2oci {

class ByteSink {
  public:
    virtual ~ByteSink() = default;
    // Takes all of `bytes` or throws Error. Not thread-safe: one writer at a time. Blocks when what is behind is slow.
    virtual void write(std::span<const std::byte> bytes) = 0;
};

} // namespace vm2oci
