// The files of a virtual machine, whatever its disk is made of: one root, with every file system of its fstab in place.
//
// Paths are bytes, absolute ("/etc/hostname"); a missing leading "/" is added. They resolve inside the guest's root, as
// the guest itself would see them: ".." above the root stays at the root, absolute link targets start at the root, and
// after kLinkLimit symbolic links resolution ends in Error{unsafe}.
#pragma once

#include "formats/base/hint.hpp"
#include "formats/base/progress.hpp"
#include "formats/tree/entry.hpp"
#include "formats/tree/file_system.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr unsigned kLinkLimit = 40; // as Linux: MAXSYMLINKS

enum class FinalLink { follow, keep };

// A file system in its place.
struct GuestMount {
    std::string mount_point;              // "/", "/boot/efi"
    std::string volume;                   // how people name where it lies: "partition 1", "logical volume vg0/root"
    std::string type;                     // "ext4", "vfat", …
    std::string uuid;                     // empty: none
    std::string label;                    // raw bytes: escape before printing
    std::optional<FileSystemUsage> usage; // none: the backend cannot tell
    // Of a file system with several trees the one that is mounted, by its path from the topmost, raw bytes ("@home");
    // empty: the topmost one, or there is but one.
    std::string subvolume{};
};

enum class MountNeed { required, optional };
std::string_view to_string(MountNeed need); // "required", "optional"

// What would read it.
enum class MissingRemedy {
    none,      // nothing: this disk does not hold it
    appliance, // libguestfs' appliance
    key,       // a key to it
};
Hint hint_for(MissingRemedy remedy);

// Something that the guest mounts and that is not part of the tree, and why.
struct MissingMount {
    std::string mount_point; // as fstab has it: it may lead through links
    std::string device;      // as fstab has it, or how people name it
    std::string reason;
    MountNeed need = MountNeed::required; // optional: the guest boots without it, or it was never on a disk
    MissingRemedy remedy = MissingRemedy::none;
    std::string bound_from{}; // the folder of the guest that is shown there a second time (bind); empty: none is
};

// What an export leaves out. Paths are absolute and canonical.
struct ExportOptions {
    std::vector<std::string> excluded; // these and all below them are not there
    std::vector<std::string> emptied;  // these folders are there, and nothing in them
};

// Read-only. Not thread-safe. Methods throw Error (corrupt, unsupported, io); absence is std::nullopt.
class Guest {
  public:
    virtual ~Guest() = default;

    virtual std::optional<FileStatus> status(std::string_view path, FinalLink final_link) const = 0;
    // Names in byte order; nullopt when there is no such folder.
    virtual std::optional<std::vector<std::string>> list(std::string_view path) const = 0;
    // The whole of a regular file, links followed; nullopt when there is none. Error{limit} when larger than `limit`.
    virtual std::optional<std::string> read_file(std::string_view path, std::size_t limit) const = 0;
    // At most `length` bytes of a regular file from `offset`, fewer only at its end; links followed.
    virtual std::optional<std::string> read_range(std::string_view path, std::uint64_t offset,
                                                  std::size_t length) const = 0;
    virtual std::optional<std::string> read_link(std::string_view path) const = 0;
    // Of the file itself, final link kept. Empty when there is no such file.
    virtual std::vector<ExtendedAttribute> attributes(std::string_view path) const = 0;
    // The whole tree from "/", in the order that TreeSink asks for; what a mount hides is not there.
    virtual void export_tree(const ExportOptions& options, TreeSink& sink, const OperationContext& operation) const = 0;
    // In order of mount points; the first is "/".
    virtual std::vector<GuestMount> mounts() const = 0;
    // What lies below these is not what the guest sees there.
    virtual std::vector<MissingMount> missing_mounts() const { return {}; }
};

// A file of text in which only the first `limit` bytes matter; nullopt also when it is larger or cannot be read.
std::optional<std::string> try_read_text(const Guest& guest, std::string_view path, std::size_t limit = 1024ull * 1024);

bool exists(const Guest& guest, std::string_view path);

} // namespace vm2oci
