// Layers that virtual machines are shipped in: one disk under /disk, or a few files, owned by the user that KubeVirt
// reads them as.
#pragma once

#include "formats/oci/layer_writer.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/package/disk_image.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// User and group "qemu", as which KubeVirt's virt-launcher runs and reads the disk.
inline constexpr std::uint32_t kQemuId = 107;

// One layer with the folder (0555) and in it the disk (0444), both owned by 107:107, dated 1970. One pass.
// A canonical qcow2 is cut into frames where the guest's disk has its own borders.
// `folder` instead of "disk": where another consumer looks.
StoredLayer write_disk_layer(const DiskImage& disk, const std::string& file_name, const LayerOptions& options,
                             ImageDestination& destination, const OperationContext& operation,
                             const std::string& folder = "disk");

// The disk's file alone, without a tar around it, as artifacts carry it: no diff_id; media type and annotations are the
// caller's.
StoredLayer write_bare_disk(const DiskImage& disk, const LayerOptions& options, ImageDestination& destination,
                            const OperationContext& operation);

struct LayerFile {
    std::string path; // "boot/vmlinuz"; the folders that hold it come before it by themselves
    std::string_view content;
};

// One layer with these files (0444) and their folders (0555), owned by 107:107, dated 1970, in the order given.
StoredLayer write_files_layer(const std::vector<LayerFile>& files, const LayerOptions& options,
                              ImageDestination& destination, const OperationContext& operation);

} // namespace vm2oci
