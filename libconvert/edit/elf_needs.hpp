// What a program needs from the system that it will run on.
//
// Source of the format: System V ABI, chapters 4 and 5; the GNU version sections as the Linux Standard Base has them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

struct ElfNeeds {
    std::uint16_t machine = 0;          // e_machine
    std::string interpreter;            // empty: static, or a library
    std::vector<std::string> libraries; // DT_NEEDED
    // For each library the symbol versions that are needed of it ("libc.so.6" -> "GLIBC_2.34").
    std::map<std::string, std::set<std::string>> versions;
    std::set<std::string> defined_versions; // of a library: the versions that it has
};

// nullopt: no ELF file of 64 bits and little-endian. Error{corrupt} for one whose tables lie outside it.
std::optional<ElfNeeds> read_elf_needs(std::string_view bytes);

} // namespace vm2oci
