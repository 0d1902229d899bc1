#include "formats/oci/written_image.hpp"

#include "formats/base/error.hpp"
#include "formats/oci/stored_blob.hpp"

namespace vm2oci {

WrittenImage::WrittenImage(ImageDestination& destination, Descriptor top)
    : destination_(destination), top_(std::move(top)) {}

std::string WrittenImage::read_manifest(const Descriptor& manifest) {
    return read_manifest_blob(*open_blob(manifest), manifest);
}

std::shared_ptr<const BlockDevice> WrittenImage::open_blob(const Descriptor& blob) {
    std::shared_ptr<const BlockDevice> content = destination_.open_written(blob);
    if (content == nullptr)
        fail(ErrorKind::unsupported,
             "this destination cannot read back what it was given; write to oci:, oci-archive: or docker://");
    return content;
}

} // namespace vm2oci
