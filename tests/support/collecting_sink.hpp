// Keeps what it is given, for tests.
#pragma once

#include "formats/base/sink.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace vm2oci::test {

class CollectingSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override { content.insert(content.end(), bytes.begin(), bytes.end()); }

    std::vector<std::byte> content;
};

} // namespace vm2oci::test
