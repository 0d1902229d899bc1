// What an image consists of, read from any store; and the disk that it carries.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/store.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

class ContentVerifier; // libconvert/source/content_verifier.hpp

struct ImageContent {
    Descriptor top;      // what the reference names: an index or the manifest itself
    Descriptor manifest; // the one that was chosen
    ImageManifest parsed_manifest;
    std::optional<ImageConfig> config; // none: the config blob is no image configuration (an artifact)
    // Watches the layers that the functions below open. Null: content is not held against its digests.
    std::shared_ptr<ContentVerifier> verifier{};
};

// Follows the reference; `architecture` and errors as select_manifest() has them (formats/oci/select.hpp).
ImageContent read_image(ImageSource& source, const std::string& architecture);

struct DiskInImage {
    std::string path;                         // in the image, untrusted: "disk/disk.qcow2"
    std::size_t layer = 0;                    // index in the manifest
    std::shared_ptr<const BlockDevice> bytes; // the file itself, decoded as it is read
};

// The only regular file under /disk, as KubeVirt, CDI and crun-vm look for it. Reads as little of the layer as its
// compression allows. Error{not_found}: no file there. Error{unsupported}: several.
DiskInImage find_disk(ImageSource& source, const ImageContent& image, const OperationContext& operation);

// The regular file of that path ("boot/vmlinuz"); the highest layer that has it wins. Error{not_found, unsafe}.
std::shared_ptr<const BlockDevice> find_file(ImageSource& source, const ImageContent& image, std::string_view path,
                                             const OperationContext& operation);

} // namespace vm2oci
