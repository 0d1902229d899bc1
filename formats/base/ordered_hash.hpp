// The digest of content that is read in no certain order, without reading it twice where it is read nearly in order.
#pragma once

#include "formats/base/message_digest.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <vector>

namespace vm2oci {

// Thread-safe. Memory is bounded, whatever order the pieces come in: what cannot be kept is read again.
class OrderedHash {
  public:
    // Fills the span from `offset`; it is called by feed() and finish(), and must not call feed().
    using Reader = std::function<void(std::uint64_t offset, std::span<std::byte> buffer)>;

    explicit OrderedHash(Reader read, HashAlgorithm algorithm = HashAlgorithm::sha256)
        : read_(std::move(read)), hash_(algorithm) {}

    // What somebody read at `offset`, again or for the first time.
    void feed(std::uint64_t offset, std::span<const std::byte> bytes);

    // The digest of the first `size` bytes, of which those that were not fed are read now. `before_step` is called
    // before each reading and may throw, to cancel. Call once; what is fed afterwards is passed over.
    std::vector<std::byte> finish(std::uint64_t size, const std::function<void()>& before_step);

  private:
    void take(std::uint64_t offset, std::span<const std::byte> bytes);
    void take_kept();
    void read_up_to(std::uint64_t end, const std::function<void()>& before_step);
    void keep(std::uint64_t offset, std::span<const std::byte> bytes);

    const Reader read_;
    std::mutex mutex_;
    MessageDigest hash_;
    std::uint64_t next_ = 0;                               // everything before is hashed
    std::map<std::uint64_t, std::vector<std::byte>> kept_; // pieces that lie behind `next_`
    std::size_t kept_bytes_ = 0;
};

} // namespace vm2oci
