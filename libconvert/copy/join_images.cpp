#include "libconvert/copy/join_images.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/layout_index.hpp"
#include "formats/oci/platform.hpp"
#include "formats/oci/stored_blob.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 4 * MiB; // as manifests

// Whether a runtime that wants one of them could get the other. Builders put attestations beside images, all for the
// platform unknown/unknown; podman has disks for several kinds of machine.
bool are_for_the_same(const Descriptor& a, const Descriptor& b) {
    if (!a.platform || !b.platform)
        return false;
    constexpr const char* disk_type = "disktype";
    const auto disk_of = [&](const Descriptor& one) {
        const auto found = one.annotations.find(disk_type);
        return found == one.annotations.end() ? std::string() : found->second;
    };
    const Platform platform = canonical_platform(*a.platform);
    const bool is_image = platform.os != "unknown" && platform.architecture != "unknown";
    return is_image && platform == canonical_platform(*b.platform) && disk_of(a) == disk_of(b);
}

Platform platform_of(ImageSource& source, const Descriptor& manifest) {
    const Descriptor config = parse_manifest(source.read_manifest(manifest)).config;
    const bool is_image_config =
        config.media_type == media_type::oci_config || config.media_type == media_type::docker_config;
    if (!is_image_config)
        fail(ErrorKind::unsupported, "it is an artifact without an architecture, which an index of images cannot hold");
    if (config.size > kMaxConfigBytes)
        fail(ErrorKind::limit, fmt::format("its config has {}, and at most {} are read", format_size(config.size),
                                           format_size(kMaxConfigBytes)));
    const std::shared_ptr<const BlockDevice> device = source.open_blob(config);
    check_blob_size(*device, config);
    std::string text(static_cast<std::size_t>(device->size()), '\0');
    device->read_at(0, std::as_writable_bytes(std::span(text.data(), text.size())));
    if (Digest::of(text) != config.digest)
        fail(ErrorKind::corrupt, "its config is not what its manifest names");
    Platform platform = parse_config(text).platform;
    if (platform.architecture.empty())
        fail(ErrorKind::unsupported, "its config states no architecture");
    return platform;
}

// The manifests that a source brings, each with its platform.
std::vector<Descriptor> manifests_of(ImageSource& source) {
    const Descriptor top = source.resolve();
    std::vector<Descriptor> manifests{top};
    if (is_index(top.media_type))
        manifests = parse_index(source.read_manifest(top)).manifests;
    for (Descriptor& manifest : manifests) {
        // Names in the store that it came from.
        manifest.annotations.erase(kRefNameAnnotation);
        manifest.annotations.erase(kContainerdNameAnnotation);
        if (!manifest.platform)
            manifest.platform = platform_of(source, manifest);
    }
    return manifests;
}

} // namespace

JoinResult join_images(const std::vector<JoinSource>& sources, ImageDestination& destination,
                       const Annotations& annotations, const CopyOptions& options, const OperationContext& operation) {
    JoinResult result;
    for (const JoinSource& source : sources)
        with_context(source.name, [&] {
            for (const Descriptor& manifest : manifests_of(*source.image)) {
                if (std::ranges::any_of(result.manifests,
                                        [&](const Descriptor& one) { return are_for_the_same(one, manifest); }))
                    fail(ErrorKind::conflict,
                         fmt::format("another image is for {}, too", describe_platform(*manifest.platform)));
                std::ranges::move(copy_contents(*source.image, manifest, destination, options, operation),
                                  std::back_inserter(result.blobs));
                result.manifests.push_back(manifest);
            }
        });
    ImageIndex index;
    index.manifests = result.manifests;
    index.annotations = annotations;
    result.top = destination.put_manifest(to_json(index), index.media_type);
    return result;
}

} // namespace vm2oci
