// Finds the members of a tar: names, types, and where their contents lie, so that one can be read in place.
//
// For extracting, libarchive reads more dialects. It cannot serve here: it hands contents out as a stream and does not
// say at which offset they begin. Read are ustar, pax, GNU long names, base-256 numbers and sparse members; refused is
// what two readers could take differently.
#pragma once

#include "formats/base/source.hpp"
#include "formats/tree/entry.hpp"
#include "formats/tree/tar.hpp"
#include "formats/tree/tar_sparse.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class TarType { regular, hard_link, symlink, character_device, block_device, directory, fifo, other };

struct TarMember {
    std::string path;        // untrusted bytes, as clean_path() has it; "" for the root
    std::string stored_path; // untrusted bytes, as the archive spells it
    TarType type = TarType::regular;
    std::uint32_t permissions = 0;
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    Timestamp modified{};
    std::uint32_t device_major = 0; // devices only
    std::uint32_t device_minor = 0;
    std::string link_target;          // untrusted bytes, as stored; "" for all but links
    std::uint64_t content_offset = 0; // from the start of the archive
    std::uint64_t content_size = 0;   // with its holes; 0 for all but regular files and `other`
    // The pieces that are stored, one behind the other from content_offset; null: the content is stored whole.
    std::shared_ptr<const std::vector<TarExtent>> extents{};
    // The header's type if container runtimes unpack none such ('S': GNU's sparse form, '7': contiguous, and what is
    // `other`); '\0': they do.
    char foreign_type = '\0';
    // SCHILY.xattr.* of its pax header, sorted by name: the only form of them that container runtimes unpack.
    std::vector<ExtendedAttribute> attributes{};

    // Bytes of the archive, from content_offset on.
    std::uint64_t stored_size() const { return extents ? stored_bytes(*extents) : content_size; }
};

inline constexpr std::size_t kMaxTarPath = 4096; // PATH_MAX of Linux

// The path without empty parts, "." and "..", as container runtimes clean the names of members before they look at the
// file system (Go's filepath.Clean), in linear time. nullopt: it leads out of the root.
std::optional<std::string> clean_path(std::string_view path);

class TarReader {
  public:
    // `archive` must outlive this object. Nothing but headers is read.
    explicit TarReader(const ByteSource& archive);

    // The next member; nullopt at the end. That the content is all there is not checked: reading it tells.
    // Of several names of one member the same counts as in Go's archive/tar, which runtimes read layers with.
    // Error{corrupt}, Error{unsupported} (what readers take differently), Error{unsafe} (a name that
    // leads out of the root), Error{limit}. Time and memory of a call are bounded; the caller watches for cancellation.
    std::optional<TarMember> next();

  private:
    using Block = std::array<std::byte, kTarBlock>;
    using Records = std::map<std::string, std::string>; // of one pax header

    // What headers in front of a member say of it.
    struct Extended {
        Records records;
        std::optional<std::string> long_name; // GNU's
        std::optional<std::string> long_link;
        bool is_empty() const { return !long_name && !long_link && records.empty(); }
    };
    enum class HeaderKind { member, extended, global };

    // The next header, behind which the position is then; nullopt at the end, which may only come after a member.
    std::optional<Block> read_header(const Extended& before);
    // What the header is, with what it holds taken into `extended`.
    HeaderKind take_extended(char flag, std::uint64_t size, std::uint64_t header, Extended& extended);
    TarMember read_member(const Block& block, std::uint64_t size, std::uint64_t header, Extended extended);
    std::string read_text(std::uint64_t size, std::string_view what);
    void read_pax_records(std::uint64_t size, Records& records);
    // Of a member whose header was read: where its content lies and how much is stored; moves on to the next header.
    void place_content(TarMember& member, const Records& records, std::span<const std::byte> header,
                       std::uint64_t stored);

    const ByteSource& archive_;
    std::uint64_t position_ = 0; // of the next header
    std::uint64_t headers_ = 0;
    std::size_t extents_ = 0; // of all sparse members
};

} // namespace vm2oci
