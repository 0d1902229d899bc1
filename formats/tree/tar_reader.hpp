// Finds the members of a tar: names, types, and where their contents lie, so that one can be read in place.
//
// For extracting, libarchive reads more dialects. It cannot serve here: it hands contents out as a stream and does not
// say at which offset they begin. Read are ustar, pax, GNU long names and base-256 numbers; refused is what two readers
// could take differently or what is not stored in one piece (sparse members).
#pragma once

#include "formats/base/source.hpp"
#include "formats/tree/tar.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace vm2oci {

enum class TarType { regular, hard_link, symlink, character_device, block_device, directory, fifo, other };

struct TarMember {
    std::string path; // untrusted bytes; without leading "./" and "/" and without trailing "/"; "" for the root
    TarType type = TarType::regular;
    std::uint32_t permissions = 0;
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    std::string link_target;          // untrusted bytes
    std::uint64_t content_offset = 0; // from the start of the archive
    std::uint64_t content_size = 0;   // 0 for all but regular files and `other`
};

class TarReader {
  public:
    // `archive` must outlive this object. Nothing but headers is read.
    explicit TarReader(const ByteSource& archive);

    // The next member; nullopt at the end. That the content is all there is not checked: reading it tells.
    // Error{corrupt}, Error{unsupported} (sparse members), Error{limit}.
    std::optional<TarMember> next();

  private:
    using Records = std::map<std::string, std::string>; // of one pax header

    std::string read_text(std::uint64_t size, std::string_view what);
    void read_pax_records(std::uint64_t size, Records& records);

    const ByteSource& archive_;
    std::uint64_t position_ = 0; // of the next header
    std::uint64_t headers_ = 0;
};

} // namespace vm2oci
