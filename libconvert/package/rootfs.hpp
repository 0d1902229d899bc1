// A guest's root file system as a container image: what `convert --as rootfs` makes.
#pragma once

#include "formats/oci/layer_writer.hpp"
#include "formats/oci/store.hpp"
#include "formats/tree/tar_sink.hpp"
#include "libconvert/inspect/guest_info.hpp"
#include "libconvert/package/image_assembly.hpp"

#include <string>
#include <vector>

namespace vm2oci {

enum class KernelFiles { leave_out, keep }; // kernels, initrds, boot loader, modules and firmware
enum class RootfsLayers {
    one,
    // Three, lowest first: what the distribution's packages brought, by their database; what else lies where packages
    // put things, which clones of one machine have in common; and what is the machine's own. Machines with the same
    // packages share the lowest. Needs dpkg, rpm or apk.
    split,
};

// A file that a runtime looks for in the image; the guest's own of that name does not show.
struct AddedFile {
    std::string path; // relative: "boot/vmlinuz"
    std::string content;
};

struct RootfsOptions {
    LayerOptions layer;
    ImageOptions image; // `architecture` empty: the guest's
    KernelFiles kernel_files = KernelFiles::leave_out;
    RootfsLayers layers = RootfsLayers::one;
    std::vector<AddedFile> added{}; // in one folder, as the last layer
};

struct RootfsImage {
    Descriptor manifest;
    std::vector<StoredLayer> layers;
    TarReport report;
    std::vector<std::string> remarks; // what is not in the image, and why; escaped
};

// The whole tree of the guest, without what only a running or booting machine has: the contents of /proc, /sys, /dev,
// /run and /tmp, swap files, lost+found, and kernels unless they are wanted. Entrypoint, environment, stop signal and
// labels come from the guest, by what identify_guest tells. Error{unsupported} without a guest, or if
// something that the guest mounts at boot cannot be read, or the layers cannot be split.
RootfsImage write_rootfs(const OpenedGuest& opened, const GuestInfo& info, const RootfsOptions& options,
                         ImageDestination& destination, const OperationContext& operation);

} // namespace vm2oci
