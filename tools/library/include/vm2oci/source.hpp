// What is read, and what an untrusted disk may do.
//
// References are written as everywhere in vm2oci: a path or "-", "qcow2:PATH", "raw:PATH", "vmdk:PATH" …, "ova:PATH",
// "nbd://…", "https://…", and images: "oci:FOLDER[:TAG]", "oci-archive:FILE[:TAG]", "docker://HOST/REPOSITORY[:TAG]".
#pragma once

#include <vm2oci/registry.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::v0 {

struct SourceOptions {
    // Names that a disk holds are never opened: what it needs besides itself is named here.
    std::vector<std::string> backing; // PATH or PATH:FORMAT; the chain below the disk, nearest first
    std::optional<std::filesystem::path> data_file;
    std::vector<std::filesystem::path> extents; // of a VMDK in several files
    // Further disks of the same machine, as references; of a package of a machine the one disk that is wanted.
    std::vector<std::string> disks;
    // PEM; one of these certificates must have signed a package. None: nobody must.
    std::optional<std::filesystem::path> authorities;
    std::optional<std::uint64_t> max_virtual_size; // none: 2 TiB
    bool allow_corrupt = false;                    // read a qcow2 that is marked corrupt
    bool allow_truncated = false;                  // read what lies beyond the end of the file as zeros
    bool allow_in_use = false;                     // read what somebody else may be writing to
    bool verify = false; // inspect, boot, check: hold all of an image against its digests, not only what is read
    RegistryOptions registry;
};

} // namespace vm2oci::v0
