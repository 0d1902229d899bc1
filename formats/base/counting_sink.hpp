// A sink that counts what goes through it.
#pragma once

#include "formats/base/sink.hpp"

#include <cstdint>

namespace vm2oci {

// `out` must outlive it. With it a content of another length than was announced cannot shift what is written behind it.
class CountingSink final : public ByteSink {
  public:
    explicit CountingSink(ByteSink& out) : out_(out) {}
    void write(std::span<const std::byte> bytes) override {
        count_ += bytes.size();
        out_.write(bytes);
    }
    std::uint64_t count() const { return count_; }

  private:
    ByteSink& out_;
    std::uint64_t count_ = 0;
};

} // namespace vm2oci
