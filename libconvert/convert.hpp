// The conversions, each a function that reads from top to bottom.
#pragma once

#include "formats/oci/store.hpp"
#include "libconvert/package/container_disk.hpp"
#include "libconvert/package/disk_image.hpp"
#include "libconvert/package/rootfs.hpp"

#include <filesystem>
#include <functional>
#include <memory>

namespace vm2oci {

struct ImageReport {
    Descriptor manifest; // what the destination's reference names once it is published
    StoredLayer layer;
    std::string disk_file_name;
    DiskFormat disk_format = DiskFormat::qcow2;
    std::uint64_t virtual_size = 0;
    std::uint64_t allocated_size = 0;
};

// Disk to containerDisk, complete and unpublished: the caller gives `manifest` to destination.publish(), or drops it
// all.
ImageReport write_container_disk_image(const OpenedDisk& disk, const DiskOutput& output,
                                       const ContainerDiskOptions& options, ImageDestination& destination,
                                       const OperationContext& operation);

// Disk to containerDisk. Publishes as the last step; until then the destination shows what it showed before.
ImageReport convert_to_container_disk(const OpenedDisk& disk, const DiskOutput& output,
                                      const ContainerDiskOptions& options, ImageDestination& destination,
                                      const OperationContext& operation);

// Disk to an image of the guest's root file system. Publishes as the last step.
RootfsImage convert_to_rootfs(const OpenedDisk& disk, const GuestAccess& access, const RootfsOptions& options,
                              ImageDestination& destination, const OperationContext& operation);

struct DiskReport {
    DiskFormat format = DiskFormat::qcow2;
    std::uint64_t file_size = 0;
    std::uint64_t virtual_size = 0;
    std::uint64_t allocated_size = 0;
};

// Asked with the bytes of the file that was written, before it appears. False: it never does.
using DiskApproval = std::function<bool(const std::shared_ptr<const BlockDevice>& file, DiskFormat format)>;

// Disk to disk. `destination` appears, or is replaced, when everything is written, and not at all on failure. It may be
// the source's own path. A block device is written in place (Error{conflict} when it is too small, Error{usage} when
// there is an approval to wait for).
DiskReport convert_to_disk(const OpenedDisk& disk, const DiskOutput& output, const std::filesystem::path& destination,
                           const OperationContext& operation, const DiskApproval& approve = {});

} // namespace vm2oci
