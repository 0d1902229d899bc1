// Compressed clusters: raw deflate or zstd, decoded to exactly one cluster.
#pragma once

#include "formats/block/qcow2/format.hpp"

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace vm2oci::qcow2 {

enum class Decoding {
    done,
    ends_early, // sound as far as it goes, and the input ends before the cluster is full
    broken,
};

// Decodes one cluster after another; not thread-safe.
class ClusterDecoder {
  public:
    explicit ClusterDecoder(CompressionType type);
    ClusterDecoder(ClusterDecoder&&) noexcept;
    ClusterDecoder& operator=(ClusterDecoder&&) noexcept;
    ~ClusterDecoder();

    // Room for the input, kept from one cluster to the next; valid until the next call.
    std::span<std::byte> input_buffer(std::size_t size);

    // Fills `cluster` from `compressed`, which may go on behind the end of the stream (it is bounded to sectors).
    // A stream that yields less than a cluster is broken. Accepts what QEMU accepts: a deflate stream that would go on
    // behind the cluster, and several zstd frames.
    [[nodiscard]] Decoding decode(std::span<const std::byte> compressed, std::span<std::byte> cluster);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// Lends decoders to threads; thread-safe.
class DecoderPool {
  public:
    explicit DecoderPool(CompressionType type) : type_(type) {}

    class Lease {
      public:
        Lease(DecoderPool& pool, ClusterDecoder decoder) : pool_(pool), decoder_(std::move(decoder)) {}
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        ~Lease();
        ClusterDecoder& operator*() { return decoder_; }
        ClusterDecoder* operator->() { return &decoder_; }

      private:
        DecoderPool& pool_;
        ClusterDecoder decoder_;
    };
    Lease lease();

  private:
    CompressionType type_;
    std::mutex mutex_; // guards idle_
    std::vector<ClusterDecoder> idle_;
};

} // namespace vm2oci::qcow2
