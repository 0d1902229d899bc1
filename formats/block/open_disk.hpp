// The one gate in front of every untrusted disk: what is not opened here is not read.
//
// No path that an image names is ever opened, stat'ed or resolved: backing and data files come from DiskSource alone.
#pragma once

#include "formats/base/size.hpp"
#include "formats/block/block_device.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

enum class DiskFormat { raw, qcow2 };
std::string_view to_string(DiskFormat format);

// Whether something irregular that the user can vouch for is refused (the default) or read all the same.
enum class Tolerance { refuse, allow };

inline constexpr std::uint64_t kDefaultMaxVirtualSize = 2 * TiB; // larger than disks that are packaged; bounds tables

// Longer chains than this are a mistake; each layer costs a descriptor and 8 MiB.
inline constexpr std::size_t kMaxBackingFiles = 16;

struct DiskPolicy {
    std::uint64_t max_virtual_size = kDefaultMaxVirtualSize;
    Tolerance corrupt_bit = Tolerance::refuse; // --allow-corrupt
    Tolerance truncation = Tolerance::refuse;  // --allow-truncated: clusters beyond the end of the file read as zeros
    Tolerance in_use = Tolerance::refuse;      // --allow-in-use: read while somebody else may be writing
};

struct BackingFile {
    std::filesystem::path path;
    std::optional<DiskFormat> format; // none: detected
};

// How much of the tables open_disk() looks at before it returns.
enum class TableScan {
    complete, // all of them: nothing that is read later can turn out to be refused, and DiskInfo is complete
    none,     // only the header (and the L1 table): each entry is judged when it is read; for a head within a layer
};

struct DiskSource {
    std::filesystem::path path;
    std::optional<DiskFormat> format;               // none: detected by the exactly-one-match rule
    std::vector<BackingFile> backing;               // the chain below `path`, nearest first
    std::optional<std::filesystem::path> data_file; // the external data file of a qcow2
    DiskPolicy policy;
    TableScan scan = TableScan::complete;
};

struct SnapshotInfo {
    std::string id;   // untrusted
    std::string name; // untrusted
    std::uint64_t disk_size = 0;
    std::uint64_t vm_state_size = 0;
    std::int64_t created_unix = 0;
};

// What the header and the tables say. Strings from the image are raw bytes: escape them before printing.
struct DiskInfo {
    DiskFormat format = DiskFormat::raw;
    std::uint64_t file_size = 0;
    std::uint64_t virtual_size = 0;
    // Bytes of the guest's disk that the container stores (for raw: the extents that are no holes). With
    // TableScan::none this and the numbers of clusters stay 0.
    std::uint64_t allocated_size = 0;
    // qcow2 only, else empty or zero:
    unsigned qcow2_version = 0;
    std::uint64_t cluster_size = 0;
    unsigned refcount_bits = 0;
    std::string compression;           // "zlib", "zstd"
    std::vector<std::string> features; // names in the field's terms: "lazy refcounts", "extended L2", "dirty", …
    std::optional<std::string> backing_file_name; // untrusted
    std::optional<std::string> data_file_name;    // untrusted
    std::uint32_t snapshot_count = 0;
    std::vector<SnapshotInfo> snapshots; // the first 1000 of them
    std::uint64_t data_clusters = 0;
    std::uint64_t compressed_clusters = 0;
    std::uint64_t zero_clusters = 0;
    std::uint64_t unallocated_clusters = 0;
};

struct OpenedDisk {
    std::shared_ptr<const BlockDevice> device;    // what the guest sees
    std::shared_ptr<const BlockDevice> container; // the bytes of the file itself, to pass it through untouched
    DiskInfo info;
};

// Throws Error{unsafe} for what an untrusted image may not ask for (says which option supplies it by hand),
// Error{corrupt}, Error{unsupported} (encryption, foreign formats by name), Error{limit}, Error{usage} for backing or
// data files that nothing asks for. Format and contents are read through one descriptor of each file. A raw disk whose
// size is no multiple of 512 is padded with zeros to the next sector; a qcow2 whose virtual size is none is cut to
// whole sectors: as qemu-img convert does.
OpenedDisk open_disk(const DiskSource& source);

// The file alone, refused while somebody writes to it (DiskPolicy::in_use). Error{io, not_found, unsafe}.
std::shared_ptr<const BlockDevice> open_disk_container(const std::filesystem::path& path, const DiskPolicy& policy);

// The same for a disk that lies inside something else (a layer, a registry); `source.path` is used in messages only.
OpenedDisk open_disk(std::shared_ptr<const BlockDevice> container, const DiskSource& source);

// Looks at a disk that open_disk() would refuse, for `inspect`: the info, and the refusal if there is one.
struct DiskFindings {
    DiskInfo info;                             // of a file whose format is not known only `file_size`
    bool format_known = false;                 // false: a foreign or an ambiguous format, or an empty file
    std::optional<std::string> foreign_format; // the name of a format that is recognised and not read
    std::optional<std::string> refusal;        // what open_disk() would say; none: it is safe to convert
};
// Throws Error{io, not_found, usage} only: what the image does is in `refusal`.
DiskFindings examine_disk(const DiskSource& source);
DiskFindings examine_disk(std::shared_ptr<const BlockDevice> container, const DiskSource& source);

} // namespace vm2oci
