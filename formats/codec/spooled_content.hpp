// The content of a layer that can only be decoded from its beginning: what was asked for lies in a scratch file.
#pragma once

#include "formats/codec/layer_content.hpp"
#include "formats/codec/sparse_scratch.hpp"

#include <exception>
#include <mutex>
#include <vector>

namespace vm2oci {

class SpooledContent final : public LayerContent {
  public:
    SpooledContent(std::shared_ptr<const BlockDevice> layer, const OperationContext& operation, DecodeLimits limits);

    std::uint64_t size() const override;
    bool reads_anywhere() const override { return false; }
    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override;

  private:
    // Decodes until the content reaches `end` or ends; returns its length so far.
    std::uint64_t decode_up_to(std::uint64_t end) const;
    void decode_step() const;

    std::shared_ptr<const BlockDevice> layer_;
    const OperationContext operation_;

    mutable std::mutex mutex_; // guards what follows
    mutable SparseScratch scratch_;
    mutable LayerDecoder decoder_;
    mutable std::uint64_t read_ = 0; // of the layer
    mutable bool finished_ = false;
    mutable std::exception_ptr failure_;
    mutable std::vector<std::byte> buffer_;
};

} // namespace vm2oci
