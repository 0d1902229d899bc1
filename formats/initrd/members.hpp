// What an initrd holds: cpio archives one behind the other, the first ones often plain (microcode), the last ones
// compressed.
//
// Source of the format: the Linux kernel, Documentation/driver-api/early-userspace/buffer-format.rst.
#pragma once

#include "formats/tree/cpio.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace vm2oci {

// More than any initrd holds: with all firmware some unpack to 600 MB.
inline constexpr std::uint64_t kInitrdUnpackedLimit = 2ULL * 1024 * 1024 * 1024;
inline constexpr std::size_t kInitrdMemberLimit = 1'000'000;

// The bytes from `offset`, at most `length`; fewer only at the end. Its errors pass through the walk.
using InitrdRead = std::function<std::string(std::uint64_t offset, std::size_t length)>;

// A range of an initrd that is plain, or one compressed stream.
struct InitrdPart {
    std::string compression;    // "zstd"; "none"
    std::uint64_t unpacked = 0; // bytes, with what lies between archives and behind the last one
};

class InitrdVisitor {
  public:
    virtual ~InitrdVisitor() = default;
    // False: it wants to hear of no more. The reader gives the member's content until this returns.
    virtual bool visit(const CpioMember& member, CpioReader& reader) = 0;
    virtual void part_begins(const std::string& /*compression*/) {}
    virtual void part_ended(const InitrdPart& /*part*/) {}
};

// Every member of every archive, in order, as the kernel would unpack them. Reads and unpacks no more than the visitor
// wants. Error{corrupt}, Error{unsupported} for a compression that is not known, Error{limit}.
void visit_initrd(const InitrdRead& read, InitrdVisitor& visitor);

} // namespace vm2oci
