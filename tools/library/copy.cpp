#include "tools/flows/copy.hpp"

#include "libconvert/package/architecture.hpp"
#include "tools/library/border.hpp"

#include <vm2oci/copy.hpp>

namespace vm2oci::v0 {

std::vector<CopiedImage> copy(const CopyRequest& request, const Operation& operation) {
    OperationBridge bridge(operation);
    return at_border([&] {
        ImageCopyRequest wanted;
        wanted.source_name = request.source;
        wanted.destination_name = request.destination;
        wanted.source = image_reference(request.source);
        wanted.destination = image_reference(request.destination);
        wanted.tags = request.all_tags ? TagChoice::all : TagChoice::one;
        wanted.referrers = request.referrers ? ReferrerChoice::take : ReferrerChoice::leave;
        wanted.options.parallel_blobs = request.parallel_blobs;
        if (!request.architecture.empty())
            wanted.options.architecture = parse_wanted_platform(request.architecture);
        if (request.reuse)
            wanted.reuse = image_reference(*request.reuse);
        wanted.registry = to_internal(request.registry);
        std::vector<CopiedImage> images;
        copy_images(
            wanted,
            [&](const vm2oci::CopiedImage& image) {
                CopiedImage copied{image.destination,
                                   image.result.top.digest.text(),
                                   image.result.copied_bytes(),
                                   image.result.reused_bytes(),
                                   {}};
                for (const Digest& referrer : image.referrers)
                    copied.referrers.push_back(referrer.text());
                images.push_back(std::move(copied));
            },
            bridge.context());
        return images;
    });
}

std::string create_index(const std::vector<std::string>& sources, const std::string& destination,
                         const std::map<std::string, std::string>& annotations, const RegistryOptions& registry,
                         const Operation& operation) {
    OperationBridge bridge(operation);
    return at_border([&] {
        IndexRequest request;
        for (const std::string& source : sources)
            request.sources.push_back({image_reference(source), source});
        request.destination = image_reference(destination);
        request.annotations = annotations;
        request.registry = to_internal(registry);
        return vm2oci::create_index(request, bridge.context()).top.digest.text();
    });
}

} // namespace vm2oci::v0
