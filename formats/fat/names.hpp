// Inside of the room: names in FAT folders.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::fat {

using EntryBytes = std::array<std::byte, 32>;

// "README~1.TXT", in the case that Windows NT noted; bytes beyond ASCII as "_", since their code page is not known.
std::string short_name(const EntryBytes& entry);

// Puts together a long name from the entries that stand in front of its file, last part first.
class LongName {
  public:
    void add(const EntryBytes& entry);
    void clear();
    // The name, if all parts were there and belong to this short entry. Clears.
    std::optional<std::string> take(const EntryBytes& entry);

  private:
    std::vector<std::uint16_t> units_; // in order
    unsigned next_part_ = 0;           // 0: complete, or nothing
    unsigned checksum_ = 0;
};

} // namespace vm2oci::fat
