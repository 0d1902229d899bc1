// The list of a batch as it is written, before patterns are looked up: see batch_list.hpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::cli {

// One line, or one member of `machines`.
struct WrittenMachine {
    std::size_t line = 0; // from 1
    std::string source;
    std::string name; // empty: the file's
    std::string destination;
    std::vector<std::string> options;
};

// Error{usage} "line N: …" for what is no list.
std::vector<WrittenMachine> read_batch_text(std::string_view text);

[[noreturn]] void refuse_batch_line(std::size_t line, const std::string& what);

} // namespace vm2oci::cli
