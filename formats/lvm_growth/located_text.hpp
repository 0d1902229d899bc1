// LVM2's configuration text (lvm.conf(5)) with the places of what it says, so that a part can be replaced and the rest
// stays byte for byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci::lvm {

struct TextRange {
    std::size_t begin = 0;
    std::size_t end = 0;
};

// Paths have their parts with "/" between them: "vg0/physical_volumes/pv0/pe_count".
class LocatedText {
  public:
    // Error{corrupt}. The text ends at its first NUL; what follows stays.
    explicit LocatedText(std::string text);

    // All throw Error{corrupt} where there is no such thing.
    std::uint64_t number(const std::string& path) const;
    std::string text(const std::string& path) const;
    // The words of a list, strings without their quotes.
    std::vector<std::string> list(const std::string& path) const;
    bool has(const std::string& path) const { return values_.contains(path); }
    bool has_section(const std::string& path) const { return section_ends_.contains(path); }
    // The names of the sections right below one ("" for the whole text), in their order.
    std::vector<std::string> sections(const std::string& path) const;

    // Changes, all made by finish().
    void set_number(const std::string& path, std::uint64_t value);
    void append_to_section(const std::string& path, std::string text);
    std::string finish();

  private:
    void scan();
    const TextRange& value_at(const std::string& path) const;

    std::string text_;
    std::map<std::string, TextRange> values_;
    std::map<std::string, std::size_t> section_ends_; // where the closing brace stands
    std::vector<std::string> sections_;               // whole paths
    std::vector<std::pair<TextRange, std::string>> changes_;
};

} // namespace vm2oci::lvm
