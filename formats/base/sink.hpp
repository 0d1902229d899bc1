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
    // Memory of the sink's own for the next bytes: whoever fills a part of it from its beginning, and passes that part
    // to write() as the next call, saves a copy. Empty where the sink has none. Blocks and throws as write() does.
    virtual std::span<std::byte> room() { return {}; }
};

} // namespace vm2oci
