#include "tools/flows/image_output.hpp"

#include "formats/base/error.hpp"
#include "libconvert/copy/earlier_image.hpp"
#include "libconvert/package/architecture.hpp"
#include "libconvert/package/machine_labels.hpp"
#include "libconvert/registry/blob_upload.hpp"
#include "libconvert/source/proven_layers.hpp"
#include "tools/flows/open_source.hpp"

#include <fmt/format.h>

namespace vm2oci {

ImageOptions ImageOutput::options() const {
    ImageOptions options = run_.request.image;
    const std::string& wanted = run_.request.architecture;
    const std::string& found = run_.machine.architecture;
    options.architecture = !wanted.empty() ? wanted : !found.empty() ? found : host_architecture();
    if (run_.machine.hardware)
        add_machine_labels(*run_.machine.hardware, options);
    return options;
}

LayerOptions ImageOutput::layer() const {
    const ConvertRequest& request = run_.request;
    LayerOptions options = request.layer;
    if (request.reuse)
        options.earlier = with_context("the earlier version", [&] {
            const auto source = open_image_source(*request.reuse, run_.operation, request.from.registry);
            return open_earlier_frames(*source, request.architecture, FrameIndexCache(request.frame_cache),
                                       run_.operation);
        });
    else if (options.compression.algorithm == Compression::zstd &&
             !std::holds_alternative<NullReference>(std::get<ImageReference>(request.destination)))
        options.earlier = std::make_shared<EarlierFrames>(); // none yet, but the next version has an index of this one
    return options;
}

void ImageOutput::open() {
    destination_ = run_.engine.open_destination(std::get<ImageReference>(run_.request.destination), run_.operation,
                                                run_.request.from.registry);
    if (run_.request.against)
        destination_ = open_delta_destination(std::move(destination_), *run_.request.against, run_.operation,
                                              run_.request.from.registry);
}

void ImageOutput::write(const std::function<Descriptor(ImageDestination&)>& write) {
    constexpr int kAttempts = 4;
    for (int attempt = 1;; ++attempt) {
        try {
            manifest_ = write(*destination_);
            run_.image = manifest_;
            return;
        } catch (const registry::UploadLost& lost) {
            if (attempt == kAttempts)
                throw;
            run_.operation.progress->note(fmt::format("starting over: {}", lost.what()));
            destination_.reset(); // what it holds goes before another takes its place
            open();
        }
    }
}

void ImageOutput::remember_layers(const std::vector<StoredLayer>& layers) const {
    FrameIndexCache(run_.request.frame_cache).keep(layers);
    std::vector<ProvenLayer> proven;
    for (const StoredLayer& layer : layers)
        if (!layer.diff_id.text().empty() && layer.diff_id != layer.descriptor.digest)
            proven.push_back({layer.descriptor.digest, layer.diff_id});
    ProvenLayers(run_.request.from.layer_cache).keep(proven);
}

ImageInStore ImageOutput::image() {
    written_ = std::make_unique<WrittenImage>(*destination_, manifest_);
    return {*written_, read_image(*written_, "")};
}

} // namespace vm2oci
