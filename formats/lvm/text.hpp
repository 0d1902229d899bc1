// Inside of the room: LVM2's configuration text (lvm.conf(5)) as a tree.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace vm2oci::lvm {

using Value = std::variant<std::int64_t, std::string>;

struct NamedSection;

// A section: its values and sections in order.
struct Section {
    std::vector<std::pair<std::string, std::vector<Value>>> values; // a scalar is a list of one
    std::vector<NamedSection> sections;

    const Section* section(std::string_view name) const;
    const std::vector<Value>* list(std::string_view name) const;
    // nullopt: not there, of another type, or a list.
    std::optional<std::string> text(std::string_view name) const;
    std::optional<std::uint64_t> number(std::string_view name) const; // nullopt also when negative
};

struct NamedSection {
    std::string name;
    Section section;
};

// Error{corrupt}.
Section parse_text(std::string_view text);

} // namespace vm2oci::lvm
