// The tree of a container image as a file system on a disk of its own.
#pragma once

#include "formats/base/size.hpp"
#include "formats/oci/digest.hpp"
#include "libconvert/bundle/root_disk.hpp"
#include "libconvert/container/container_files.hpp"

#include <cstdint>
#include <optional>

namespace vm2oci {

struct ContainerRootOptions {
    BundleRootKind kind = BundleRootKind::disk;
    std::optional<std::uint64_t> size; // of the disk; none: what the files take, half as much again and `room`
    std::int64_t time = 0;             // seconds since 1970 that the file system bears
    Digest image{};                    // what its UUID comes from, so that the same image makes the same bytes
    std::uint64_t room = 256 * MiB;    // for what programs write; holes cost nothing until they do
};

// An ext4 that is written to, or an EROFS that is not. Contents are read from the layers once. Error{limit}: the files
// do not fit into `size`.
RootFiles make_container_root(const ContainerFiles& files, const ContainerRootOptions& options,
                              const OperationContext& operation);

} // namespace vm2oci
