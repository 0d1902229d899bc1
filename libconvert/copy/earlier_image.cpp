#include "libconvert/copy/earlier_image.hpp"

#include "formats/oci/image.hpp"
#include "formats/oci/select.hpp"

namespace vm2oci {

std::shared_ptr<const EarlierFrames> open_earlier_frames(ImageSource& source, const std::string& architecture,
                                                         const OperationContext& operation) {
    const Descriptor manifest = select_manifest(source, source.resolve(), architecture);
    auto frames = std::make_shared<EarlierFrames>();
    for (const Descriptor& layer : parse_manifest(source.read_manifest(manifest)).layers)
        frames->add(source.open_blob(layer));
    if (frames->empty())
        operation.progress->note("nothing of the earlier version can be taken: its layers are not zstd with a table of "
                                 "frames and checksums");
    return frames;
}

} // namespace vm2oci
