// A disk's file as the user names it: a path, or "-" for standard input; compressed or not.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/open_disk.hpp"
#include "formats/codec/compressed_file.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

inline constexpr std::string_view kStandardInput = "-"; // a file of this name is "./-"

// How the bytes were packed that a disk was read from.
struct FilePacking {
    FileCompression compression = FileCompression::gzip;
    std::uint64_t stored_size = 0;
    UnpackMethod method = UnpackMethod::scratch;
};

struct DiskFile {
    std::shared_ptr<const BlockDevice> container; // for open_disk(container, source); unpacked
    std::optional<FilePacking> packing;           // none: it was not compressed
};

// Of `source`, the path, the format and the policy count. A file that is stated to be raw is read as it is; any other
// is unpacked if it is compressed, up to what a disk of the policy's largest size may take. Error{unsafe} for a file
// that looks like compressed data and like something else at once. Standard input is read where it lies if it is a file
// that nobody has read from, else whole, into a scratch file. Errors as open_disk() and open_compressed_file().
DiskFile open_packed_file(const DiskSource& source, const OperationContext& operation);

// The same for bytes that are open already.
DiskFile unpack_disk_file(std::shared_ptr<const BlockDevice> stored, const DiskSource& source,
                          const OperationContext& operation);

// What the file of a disk of that size may take at most, with its tables and snapshots.
std::uint64_t largest_container(std::uint64_t virtual_size);

// "gzip, 12 MiB packed".
std::string describe(const FilePacking& packing);

} // namespace vm2oci
