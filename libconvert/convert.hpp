// The conversions, each a function that reads from top to bottom.
#pragma once

#include "formats/oci/store.hpp"
#include "libconvert/package/container_disk.hpp"
#include "libconvert/package/disk_image.hpp"

#include <filesystem>

namespace vm2oci {

struct ImageReport {
    Descriptor manifest; // what the destination's reference names once it is published
    StoredLayer layer;
    std::string disk_path; // in the image
    DiskFormat disk_format = DiskFormat::qcow2;
    std::uint64_t virtual_size = 0;
    std::uint64_t allocated_size = 0;
};

// Disk to containerDisk, complete and unpublished: the caller gives `manifest` to destination.publish(), or drops it
// all.
ImageReport write_container_disk_image(const DiskView& disk, const DiskOutput& output,
                                       const ContainerDiskOptions& options, ImageDestination& destination,
                                       const OperationContext& operation);

// Disk to containerDisk. Publishes as the last step; until then the destination shows what it showed before.
ImageReport convert_to_container_disk(const DiskView& disk, const DiskOutput& output,
                                      const ContainerDiskOptions& options, ImageDestination& destination,
                                      const OperationContext& operation);

struct DiskReport {
    DiskFormat format = DiskFormat::qcow2;
    std::uint64_t file_size = 0;
    std::uint64_t virtual_size = 0;
    std::uint64_t allocated_size = 0; // bytes of the guest's disk that were stored
};

// Disk into `fd`, an empty regular file.
DiskReport write_disk_file(const DiskView& disk, const DiskOutput& output, int fd, const OperationContext& operation);

// Disk onto a block device, which is written in place: what it held before is lost, also by a failure. Error{conflict}
// when it is too small.
DiskReport write_block_device(const DiskView& disk, const DiskOutput& output, const std::filesystem::path& device,
                              const OperationContext& operation);

} // namespace vm2oci
