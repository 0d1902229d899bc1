// KubeVirt's containerDisk: an image with one layer that holds one disk under /disk.
//
// The form is the one that KubeVirt (container and image volume), CDI, crun-vm and virtlet's successors all read: the
// only regular file is disk/NAME, folder 0555 and file 0444, owned by 107:107 (qemu), entrypoint "no-entrypoint", all
// metadata in labels and annotations and none in files (kubevirt/kubevirt pkg/container-disk, kubevirt/containerdisks
// pkg/build, containers/crun-vm src/commands/create).
#pragma once

#include "formats/oci/layer_writer.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/package/disk_image.hpp"
#include "libconvert/package/guest_labels.hpp"
#include "libconvert/package/image_assembly.hpp"

#include <optional>
#include <string>

namespace vm2oci {

// Who looks for the disk where.
enum class ContainerDiskForm {
    kubevirt,   // /disk, and everybody else's
    rancher_vm, // /base_image: rancher/vm's docs/images.md
};

struct ContainerDiskOptions {
    ContainerDiskForm form = ContainerDiskForm::kubevirt;
    std::string file_name; // in /disk; empty: disk.qcow2 or disk.img
    LayerOptions layer;
    ImageOptions image;
    std::string instancetype; // KubeVirt's defaults for a VM of this image; empty: none
    std::string preference;
    std::optional<GuestSummary> guest; // none: not looked at, or there is none
};

struct ContainerDisk {
    Descriptor manifest;
    StoredLayer layer;
    std::string path; // in the image: "disk/disk.qcow2"
};

// Writes layer, config and manifest to `destination`; the caller publishes. One pass over the disk.
ContainerDisk write_container_disk(const DiskImage& disk, const ContainerDiskOptions& options,
                                   ImageDestination& destination, const OperationContext& operation);

} // namespace vm2oci
