// Where changes go when a file system is opened for writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vm2oci {

// Offsets and lengths are bytes of the file system's device. Both methods throw Error{corrupt} beyond its end.
class BlockChanges {
  public:
    virtual ~BlockChanges() = default;
    virtual void write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
    virtual void discard(std::uint64_t offset, std::uint64_t length) = 0;
};

} // namespace vm2oci
