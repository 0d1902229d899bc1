// A guest as what Kata Containers starts its sandboxes from: an image with one partition, and the same as an initrd.
//
// Kata reads these files from the host's disk and pulls none from a registry, so they are written into a folder.
#pragma once

#include "libconvert/bundle/root_disk.hpp"
#include "libconvert/bundle/unpack.hpp"
#include "libconvert/edit/edit_disk.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct KataOptions {
    std::filesystem::path agent;                // kata-agent, a program for the guest's architecture
    BundleRootKind root = BundleRootKind::disk; // disk: ext4
    EditRequest edits;
    EditMode mode = EditMode::apply;
    std::optional<std::uint64_t> size; // of the ext4's image, at least; none: as the files need
    GuestAccess access;
    std::int64_t time = 0; // what new files bear; 0: the time of the last write
};

struct KataReport {
    std::vector<UnpackedFile> files;
    std::string drop_in; // the configuration that makes Kata use them
    EditReport edits;
    std::vector<std::string> remarks;
};

// Writes kata-containers.img, kata-containers-initrd.img and 50-vm2oci.toml into `folder`, which is made if it is not
// there. The agent becomes a unit of systemd, or the init of guests without systemd; kernels, modules and firmware are
// left out, as Kata brings its own kernel. Errors as make_root_disk() and edit_disk() have them.
KataReport write_kata(const OpenedDisk& disk, const KataOptions& options, const std::filesystem::path& folder,
                      const OperationContext& operation);

} // namespace vm2oci
