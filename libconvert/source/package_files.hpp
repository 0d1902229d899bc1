// The files of a machine's package by name: members of a tar that is read in place, or siblings of a descriptor.
// Nothing else is ever opened, whatever a descriptor says.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/open_disk.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr std::size_t kMaxPackageMembers = 10'000;

class MachineFiles {
  public:
    virtual ~MachineFiles() = default;
    // The bytes of a file by the name that the descriptor gives it; null if there is none. Error{unsafe}: a name that
    // leads out of the package, or means something else than a regular file.
    virtual std::shared_ptr<const BlockDevice> open(const std::string& name) const = 0;
    // What stands beside the descriptor and vouches for it, by its suffix (".mf", ".cert"): the file that is called as
    // the descriptor is, whatever the case of its letters; in an archive, where it can belong to no other, the only one
    // of its kind. "" if there is none. Error{unsafe}: several, and nothing says which counts.
    virtual std::string companion(std::string_view suffix) const = 0;
    // The descriptor's, relative to the package.
    virtual const std::string& descriptor() const = 0;
    // "the archive", "the folder of the descriptor"
    virtual std::string_view place() const = 0;
};

// Whether it is a tar with a descriptor among its first files: an OVA, which has it in front, and what people put
// together themselves (VirtualBox boxes of Vagrant). Apple's "._" files are passed over.
bool looks_like_ova(const BlockDevice& archive);
// Whether it begins as an OVF descriptor does.
bool looks_like_ovf(const BlockDevice& file);

// Reads the headers of all members. Error{corrupt}: no tar, cut off, no descriptor. Error{unsafe}: two members of one
// name. Error{unsupported}: more than one descriptor. Error{limit}.
std::unique_ptr<MachineFiles> open_ova_members(std::shared_ptr<const BlockDevice> archive);

// The files beside `descriptor`, a path of the user's. A file is opened by its plain name in that folder, without
// following links, and only if it is a regular file; and refused while somebody writes to it (DiskPolicy::in_use).
// `opened` are the descriptor's bytes, which may lie elsewhere if the user's path is a link.
std::unique_ptr<MachineFiles> open_ovf_folder(const std::filesystem::path& descriptor,
                                              std::shared_ptr<const BlockDevice> opened, const DiskPolicy& policy);

// Names in descriptors may be written as in URIs ("web%2001.vmdk"); "" if `name` is not.
std::string percent_decoded(std::string_view name);

} // namespace vm2oci
