// Tar as every reader of layers takes it: ustar (POSIX.1-1988), and pax records (POSIX.1-2001, pax(1)) where a value
// does not fit. No GNU or base-256 forms are written.
#pragma once

#include "formats/tree/entry.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kTarBlock = 512;
inline constexpr std::size_t kTarEndSize = 2 * kTarBlock; // the zeros that end an archive

struct TarOwnerNames {
    std::string user; // "": none, which readers take as "go by number"
    std::string group;
};

// How a size of 8 GiB or more is written.
enum class TarSizes {
    pax,     // as the standard has it
    base256, // GNU's way, which all readers know too, and which needs no second header: for headers written afterwards
};

// Everything that stands in front of an entry's content: the pax header, if one is needed, and the ustar header.
// A multiple of kTarBlock. Names are kept byte for byte: those that are not UTF-8 by hdrcharset=BINARY. Extended
// attributes become SCHILY.xattr.* records. Error{unsupported} for a socket, which tar cannot hold, and for names with
// NUL.
std::string tar_header(const Entry& entry, const TarOwnerNames& owners = {}, TarSizes sizes = TarSizes::pax);

// The same for a regular file that is stored without its holes, in the form "POSIX 1.0" of GNU tar's manual: `stored`
// bytes follow, map and pieces. Readers that do not know the form get a file of that size and another name.
std::string tar_sparse_header(const Entry& entry, std::uint64_t stored);
// The map that stands in front of the pieces: whole blocks.
std::string tar_sparse_map(const std::vector<DataRange>& pieces);

// Zeros behind a content of `size` bytes, up to the next block.
constexpr std::size_t tar_padding(std::uint64_t size) {
    return static_cast<std::size_t>((kTarBlock - size % kTarBlock) % kTarBlock);
}

} // namespace vm2oci
