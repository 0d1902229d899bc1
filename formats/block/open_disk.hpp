// The one gate in front of every untrusted disk: what is not opened here is not read.
//
// No path that an image names is ever opened, stat'ed or resolved: backing files, data files and extents come from
// DiskSource alone.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/disk_info.hpp"
#include "formats/block/disk_policy.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// Longer chains than this are a mistake; each layer costs a descriptor and 8 MiB.
inline constexpr std::size_t kMaxBackingFiles = 16;

struct BackingFile {
    std::filesystem::path path;
    std::optional<DiskFormat> format; // none: detected
};

class ExtentFiles;

struct DiskSource {
    std::filesystem::path path;
    std::optional<DiskFormat> format;               // none: detected by the exactly-one-match rule
    std::vector<BackingFile> backing;               // the chain below `path`, nearest first
    std::optional<std::filesystem::path> data_file; // the external data file of a qcow2
    std::vector<std::filesystem::path> extents;     // of a VMDK that consists of several files
    DiskPolicy policy;
    TableScan scan = TableScan::complete;
    // Where a VMDK's other files come from that lies inside something else, unless `extents` gives them; null: nowhere.
    std::shared_ptr<ExtentFiles> package{};
    std::size_t number = 1; // of the machine's disks, for hints on what belongs to it
};

struct OpenedDisk {
    std::shared_ptr<const BlockDevice> device;    // what the guest sees
    std::shared_ptr<const BlockDevice> container; // the bytes of the file itself, to pass it through untouched
    DiskInfo info;
};

// Throws Error{unsafe} for what an untrusted image may not ask for (says which option supplies it by hand),
// Error{corrupt}, Error{unsupported} (encryption, foreign formats by name), Error{limit}, Error{usage} for backing
// files, data files or extents that nothing asks for. Format and contents are read through one descriptor of each file.
// A raw disk whose size is no multiple of 512 is padded with zeros to the next sector; a qcow2 whose virtual size is
// none is cut to whole sectors: as qemu-img convert does.
OpenedDisk open_disk(const DiskSource& source);

// Whether files beside `source.path` may be parts of the disk, as formats have it.
enum class Siblings {
    none,        // it lies inside something else (a layer, an archive, a registry): the path is used in messages only
    beside_path, // the container is the file of that path
};

// The same for bytes that are open already.
OpenedDisk open_disk(std::shared_ptr<const BlockDevice> container, const DiskSource& source,
                     Siblings siblings = Siblings::none);

// Looks at a disk that open_disk() would refuse, for `inspect`: the info, and the refusal if there is one.
// Throws Error{io, not_found, usage} only: what the image does is in `refusal`.
DiskFindings examine_disk(const DiskSource& source);
DiskFindings examine_disk(std::shared_ptr<const BlockDevice> container, const DiskSource& source,
                          Siblings siblings = Siblings::none);

} // namespace vm2oci
