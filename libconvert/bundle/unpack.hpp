// A bundle as the files that micro-VMs are started from.
#pragma once

#include "formats/base/outputs.hpp"
#include "formats/base/progress.hpp"
#include "formats/oci/bundle.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/source/image_content.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace vm2oci {

struct UnpackedFile {
    std::string name; // in the folder
    std::uint64_t size = 0;
    std::string purpose; // one line for people
};

struct UnpackedBundle {
    BundleDescription description;
    std::vector<UnpackedFile> files;
};

// Writes for `folder`, which is made if it is not there, among `outputs`: vmlinux (ELF; an arm64 Image as it is),
// initramfs, the root as a sparse raw disk (rootfs.img or rootfs.erofs), and what starts them: firecracker.json for
// `firecracker
// --config-file`, cloud-hypervisor.json for `ch-remote create`. Paths in them are relative: start the VMM in the
// folder. The configurations appear last. Error{not_found} if the image is no bundle or lacks a file that it names.
UnpackedBundle unpack_bundle(ImageSource& source, const ImageContent& image, const std::filesystem::path& folder,
                             Outputs& outputs, const OperationContext& operation);

} // namespace vm2oci
