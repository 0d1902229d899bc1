// The disk that `podman machine init --image docker://…` pulls: an index whose entry says for which kind of machine the
// disk is, and an artifact with the disk as its only layer.
//
// containers/podman pkg/machine/ocipull/ociartifact.go, pkg/machine/define/vmtype.go: architectures are spelled as the
// kernel does, and the title's endings (".qcow2.zst") name the file.
#pragma once

#include "formats/oci/layer_writer.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/package/disk_image.hpp"
#include "libconvert/package/image_assembly.hpp"

#include <string>
#include <string_view>

namespace vm2oci {

struct PodmanMachineDisk {
    Descriptor index; // what the destination's reference names once it is published
    StoredLayer layer;
    std::string disk_type; // "qemu", "applehv"
    std::string title;
};

// "qemu" takes qcow2; "applehv", which libkrun's machines ask for as well, raw.
std::string_view podman_disk_type(DiskFormat format);

// Complete and unpublished. Of `image` the architecture and the annotations count. Error{usage} for a compression that
// podman does not undo, Error{unsupported} for an architecture that it has no machines of.
PodmanMachineDisk write_podman_machine(const DiskImage& disk, const std::string& name, const LayerOptions& options,
                                       const ImageOptions& image, ImageDestination& destination,
                                       const OperationContext& operation);

} // namespace vm2oci
