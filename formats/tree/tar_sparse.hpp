// Members of a tar that leave their holes out: which pieces of their content are stored.
//
// Four forms, by GNU tar's manual, "Storing Sparse Files", read as Go's archive/tar reads them: GNU's own ('S'), and
// POSIX 0.0, 0.1 and 1.0.
#pragma once

#include "formats/base/source.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// A piece of the content that is stored. What lies between two, and behind the last, is zeros.
struct TarExtent {
    std::uint64_t offset = 0; // in the content
    std::uint64_t length = 0;
    bool operator==(const TarExtent&) const = default;
};

std::uint64_t stored_bytes(const std::vector<TarExtent>& extents);

inline constexpr std::size_t kMaxTarExtents = 1'000'000; // of all members of one archive; bounds the memory

// The layout of one sparse member.
struct SparseLayout {
    std::vector<TarExtent> extents; // in order, without overlaps; stored one behind the other
    std::uint64_t size = 0;         // of the content
    std::uint64_t map_bytes = 0;    // of the archive, whole blocks between header and first piece
};

// By the records of a pax header ("GNU.sparse.*" among others). nullopt: they describe no sparse member. `stored` is
// what the header says follows it, from `position` in the archive. Error{corrupt}, Error{unsupported} for versions that
// do not exist, Error{limit}.
std::optional<SparseLayout> read_pax_sparse(const std::map<std::string, std::string>& records,
                                            const ByteSource& archive, std::uint64_t position, std::uint64_t stored);

// By GNU's own header, type 'S'; more blocks of its map follow it, from `position`. `number` reads a field of octal or
// base-256 digits. Errors as above.
SparseLayout read_gnu_sparse(std::span<const std::byte> header, const ByteSource& archive, std::uint64_t position,
                             const std::function<std::uint64_t(std::string_view)>& number);

// Throws Error{corrupt} where pieces overlap, lie outside of the content, or are not all that is stored.
void check_sparse_layout(const SparseLayout& layout, std::uint64_t stored);

} // namespace vm2oci
