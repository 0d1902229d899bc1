// Bytes in memory as a source that is read at any offset, for tests.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/base/source.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace vm2oci::test {

class MemorySource final : public ByteSource {
  public:
    explicit MemorySource(std::string_view text) : bytes_(as_bytes(text).begin(), as_bytes(text).end()) {}
    explicit MemorySource(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        if (offset >= bytes_.size())
            return 0;
        const std::size_t length = std::min(buffer.size(), bytes_.size() - static_cast<std::size_t>(offset));
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), length, buffer.begin());
        return length;
    }

  private:
    std::vector<std::byte> bytes_;
};

} // namespace vm2oci::test
