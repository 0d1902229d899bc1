#include "tools/vm2oci/batch_destination.hpp"

#include "formats/base/error.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/copy/delta.hpp"
#include "tools/flows/open_source.hpp"

#include <filesystem>
#include <system_error>

namespace vm2oci::cli {
namespace {

bool is_whole(ImageSource& store, const Descriptor& blob) {
    const auto content = store.open_blob(blob);
    return content != nullptr && content->size() == blob.size;
}

// Of a machine's first image, the images of its other disks as well.
bool is_stored_whole(ImageSource& store, const Descriptor& top, const ImageReference& reference,
                     const OperationContext& operation) {
    if (is_index(top.media_type)) {
        const ImageIndex index = parse_index(store.read_manifest(top));
        for (const Descriptor& entry : index.manifests)
            if (is_index(entry.media_type) || !is_stored_whole(store, entry, reference, operation))
                return false; // nothing here makes an index of indexes
        return true;
    }
    const ImageManifest manifest = parse_manifest(store.read_manifest(top));
    if (!is_whole(store, manifest.config))
        return false;
    for (const Descriptor& layer : manifest.layers)
        if (!is_whole(store, layer))
            return false;
    for (const ImageReference& other : further_images(reference, manifest.annotations)) {
        const auto further = open_image_source(other, operation);
        const Descriptor manifest_of_other = further->resolve();
        const ImageManifest parsed = parse_manifest(further->read_manifest(manifest_of_other));
        for (const Descriptor& layer : parsed.layers)
            if (!is_whole(*further, layer))
                return false;
    }
    return true;
}

} // namespace

std::optional<std::string> published_at(const PlannedConversion& planned, const OperationContext& operation) {
    const BatchItem& item = planned.item;
    if (std::holds_alternative<NullReference>(planned.image)) {
        if (item.is_image || item.destination == "null:")
            return std::nullopt;
        std::error_code error;
        return std::filesystem::exists(item.exclusive, error) ? std::optional<std::string>("there") : std::nullopt;
    }
    try {
        const auto store = open_image_source(planned.image, operation, planned.registry);
        const Descriptor top = store->resolve();
        if (!store->traits().blobs_are_remote && !is_stored_whole(*store, top, planned.image, operation))
            return std::nullopt;
        // A batch knows the image, and a delta is what makes it.
        return planned.is_delta ? delta_target(*store, top).value_or(top.digest).text() : top.digest.text();
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled)
            throw;
        return std::nullopt; // then it is made, and that says what is wrong
    }
}

} // namespace vm2oci::cli
