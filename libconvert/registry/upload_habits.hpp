// What the uploads of one run have learnt about a registry, so that the next one need not be refused first.
#pragma once

#include "formats/base/size.hpp"

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace vm2oci::registry {

inline constexpr std::uint64_t kLargestChunk = 32 * MiB; // what a registry may ask for: a chunk is kept in memory

// Thread-safe.
class UploadHabits {
  public:
    // The largest request that was not refused for its size.
    std::uint64_t request_limit() const {
        const std::lock_guard lock(mutex_);
        return request_limit_;
    }
    void note_request_limit(std::uint64_t bytes) {
        const std::lock_guard lock(mutex_);
        request_limit_ = std::min(request_limit_, bytes);
    }

    // It takes a blob in one request only.
    bool refuses_chunks() const {
        const std::lock_guard lock(mutex_);
        return refuses_chunks_;
    }
    void note_refused_chunks() {
        const std::lock_guard lock(mutex_);
        refuses_chunks_ = true;
    }

    // The request that closes an upload in chunks may carry nothing.
    bool closes_without_body() const {
        const std::lock_guard lock(mutex_);
        return closes_without_body_;
    }
    void note_refused_body() {
        const std::lock_guard lock(mutex_);
        closes_without_body_ = true;
    }

  private:
    mutable std::mutex mutex_;
    std::uint64_t request_limit_ = kLargestChunk;
    bool refuses_chunks_ = false;
    bool closes_without_body_ = false;
};

} // namespace vm2oci::registry
