// Where changes go when a file system is opened for writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace vm2oci {

// Offsets and lengths are bytes of the file system's device. All methods throw Error{corrupt} beyond its end.
class BlockChanges {
  public:
    virtual ~BlockChanges() = default;
    virtual void write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
    // Nobody needs what is there any more: it reads as anything.
    virtual void discard(std::uint64_t offset, std::uint64_t length) = 0;
    virtual void write_zeros(std::uint64_t offset, std::uint64_t length) = 0;
};

// From changes to a disk to those of something that lies on it: what is written there goes where it lies.
using ChangesRoute = std::function<std::shared_ptr<BlockChanges>(const std::shared_ptr<BlockChanges>& disk)>;

} // namespace vm2oci
