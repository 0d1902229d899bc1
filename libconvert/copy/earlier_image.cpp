#include "libconvert/copy/earlier_image.hpp"

#include "formats/base/error.hpp"
#include "formats/oci/chunked_toc.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/select.hpp"

#include <fmt/format.h>

namespace vm2oci {

std::vector<Descriptor> layers_of_image(ImageSource& source, const std::string& architecture) {
    const Descriptor top = source.resolve();
    std::vector<Descriptor> manifests;
    if (architecture.empty() && is_index(top.media_type)) {
        for (const Descriptor& one : parse_index(source.read_manifest(top)).manifests)
            if (is_manifest(one.media_type))
                manifests.push_back(one);
    } else {
        manifests.push_back(select_manifest(source, top, architecture));
    }
    std::vector<Descriptor> layers;
    for (const Descriptor& manifest : manifests)
        for (Descriptor& layer : parse_manifest(source.read_manifest(manifest)).layers)
            layers.push_back(std::move(layer));
    return layers;
}

std::shared_ptr<const EarlierFrames> open_earlier_frames(ImageSource& source, const std::string& architecture,
                                                         const FrameIndexCache& cache,
                                                         const OperationContext& operation) {
    auto frames = std::make_shared<EarlierFrames>();
    for (const Descriptor& layer : layers_of_image(source, architecture))
        frames->add(source.open_blob(layer), cache.find(layer.digest));
    if (frames->empty())
        operation.progress->note("nothing of the earlier version can be taken: its layers are not zstd with a table of "
                                 "frames and checksums");
    return frames;
}

std::vector<LayerPart> parts_of_layer(const BlockDevice& layer, const Annotations& annotations) {
    std::vector<LayerPart> parts;
    if (const std::optional<SeekTable> table = read_seek_table(layer); table && table->has_checksums) {
        std::uint64_t offset = 0;
        for (const EncodedFrame& frame : table->frames) {
            if (frame.content_size > 0)
                parts.push_back({offset, frame.compressed_size,
                                 fmt::format("{}:{}:{}", frame.compressed_size, frame.content_size, frame.checksum)});
            offset += frame.compressed_size;
        }
        return parts;
    }
    if (const std::optional<LayerToc> toc = read_layer_toc(layer, annotations))
        for (const TocChunk& chunk : toc->chunks) {
            const std::uint64_t size = chunk.stored_end - chunk.stored_offset;
            parts.push_back({chunk.stored_offset, size,
                             fmt::format("{}:{}:{}", size, chunk.content_size,
                                         chunk.is_zero ? "zeros" : Digest(chunk.digest).text())});
        }
    return parts;
}

std::optional<std::string> EarlierParts::add(const std::shared_ptr<const BlockDevice>& layer,
                                             const Annotations& annotations) {
    try {
        for (LayerPart& part : parts_of_layer(*layer, annotations))
            places_.emplace(std::move(part.key), std::pair(layers_.size(), part.offset));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::limit)
            throw;
        return error.what();
    }
    layers_.push_back(layer);
    return std::nullopt;
}

std::optional<EarlierParts::Place> EarlierParts::find(const LayerPart& part) const {
    const auto found = places_.find(part.key);
    if (found == places_.end())
        return std::nullopt;
    return Place{layers_[found->second.first], found->second.second};
}

std::shared_ptr<const EarlierParts> open_earlier_parts(ImageSource& source, const std::string& architecture,
                                                       const OperationContext& operation) {
    auto parts = std::make_shared<EarlierParts>();
    for (const Descriptor& layer : layers_of_image(source, architecture))
        if (const auto problem = parts->add(source.open_blob(layer), layer.annotations))
            operation.progress->note("nothing of the earlier version's layer " + layer.digest.text() +
                                     " can be taken: " + *problem);
    if (parts->empty())
        operation.progress->note(
            "nothing of the earlier version can be taken: its layers have no table of their parts");
    return parts;
}

} // namespace vm2oci
