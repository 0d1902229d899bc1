// Which bytes of a file are taken, to find what lies over something else.
#pragma once

#include <cstdint>
#include <vector>

namespace vm2oci::mapped {

// Ranges may come in any order; those that touch become one, so that a file without gaps costs nothing however it was
// written. Memory: 64 MiB at most, and Error{limit} for a file in more pieces than that holds (4 million).
class RangeSet {
  public:
    // Takes [begin, end). Error{corrupt} if some of it is taken already; that may come to light only with a later
    // call, or with check().
    void add(std::uint64_t begin, std::uint64_t end);
    // Error{corrupt} if anything that was added lies over something else.
    void check();

  private:
    struct Range {
        std::uint64_t begin;
        std::uint64_t end;
    };
    std::vector<Range> ranges_;
};

} // namespace vm2oci::mapped
