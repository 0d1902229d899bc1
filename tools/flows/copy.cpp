#include "tools/flows/copy.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/outputs.hpp"
#include "formats/oci/layout_index.hpp"
#include "tools/flows/referrer_copy.hpp"

#include <algorithm>
#include <utility>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxLayoutIndexBytes = 64 * MiB; // tens of thousands of tags

// The tags that a reference's store has; the reference must not name one itself.
std::vector<std::string> tags_of(const ImageReference& reference, const std::string& written,
                                 const registry::RegistryOptions& options, const OperationContext& operation) {
    const auto refuse_tag = [&] {
        fail(ErrorKind::usage, "all tags are copied by a reference without a tag, and '" + written + "' has one");
    };
    if (const auto* layout = std::get_if<LayoutReference>(&reference)) {
        if (layout->tag)
            refuse_tag();
        const std::optional<std::string> index =
            read_file(fs::path(layout->folder) / "index.json", kMaxLayoutIndexBytes);
        if (!index)
            fail(ErrorKind::not_found, "no OCI layout in " + layout->folder);
        return layout_index_tags(*index);
    }
    if (const auto* archive = std::get_if<ArchiveReference>(&reference)) {
        if (archive->tag)
            refuse_tag();
        std::vector<std::string> tags;
        for (const Descriptor& image : open_image_source(reference, operation, options)->images())
            if (const auto tag = image.annotations.find(kRefNameAnnotation); tag != image.annotations.end())
                tags.push_back(tag->second);
        return tags;
    }
    if (const auto* named = std::get_if<RegistryReference>(&reference)) {
        // A reference without a tag gets one when it is parsed: its text then differs from what was written.
        if (to_string(reference) == written)
            refuse_tag();
        return registry::list_registry_tags(*named, options, operation);
    }
    fail(ErrorKind::usage,
         "all tags are those of docker://, oci: and oci-archive: references, not of '" + written + "'");
}

// Blobs need not travel between repositories of one registry: those of `sources` are added to what is mounted from.
void mount_from_sources(registry::RegistryOptions& options, const std::vector<ImageReference>& sources,
                        const ImageReference& destination) {
    const auto* to = std::get_if<RegistryReference>(&destination);
    for (const ImageReference& source : sources)
        if (const auto* from = std::get_if<RegistryReference>(&source);
            from != nullptr && to != nullptr && from->repository != to->repository &&
            registry::registry_name(*from) == registry::registry_name(*to) &&
            std::ranges::find(options.mount_from, from->repository) == options.mount_from.end())
            options.mount_from.push_back(from->repository);
}

using Pair = std::pair<ImageReference, ImageReference>;

std::vector<Pair> pairs_of(const ImageCopyRequest& request, const registry::RegistryOptions& registry,
                           const OperationContext& operation) {
    if (request.tags == TagChoice::one)
        return {{request.source, request.destination}};
    const auto* named = std::get_if<RegistryReference>(&request.destination);
    const auto* layout = std::get_if<LayoutReference>(&request.destination);
    if ((named != nullptr && to_string(request.destination) == request.destination_name) ||
        (layout != nullptr && layout->tag) || (named == nullptr && layout == nullptr))
        fail(ErrorKind::usage, "all tags go to a docker:// or oci: destination without a tag");
    std::vector<Pair> pairs;
    for (const std::string& tag : tags_of(request.source, request.source_name, registry, operation))
        pairs.emplace_back(with_tag(request.source, tag), with_tag(request.destination, tag));
    if (pairs.empty())
        fail(ErrorKind::not_found, request.source_name + " has no tags");
    return pairs;
}

Outputs::Document* add_digest_file(const fs::path& path, Outputs& outputs) {
    return path.empty() ? nullptr : &outputs.add_document(path);
}

CopiedImage copy_one(const Pair& pair, const ImageCopyRequest& request, const CopyOptions& options,
                     const registry::RegistryOptions& registry, const OperationContext& operation) {
    const auto& [from, to] = pair;
    Outputs outputs(operation);
    Outputs::Document* digest_file = add_digest_file(request.digest_file, outputs);
    auto source = open_image_source(from, operation, registry);
    if (request.reuse && is_delta(*source, source->resolve()))
        source = open_delta(std::move(source), open_delta_base(*request.reuse, operation, registry));
    auto destination = open_image_destination(to, operation, registry);
    if (request.against)
        destination = open_delta_destination(std::move(destination), *request.against, operation, registry);
    CopiedImage image{to_string(to), copy_unpublished(*source, *destination, options, operation)};
    if (request.referrers == ReferrerChoice::take)
        image.referrers = copy_referrers(image.result.top, {from, to, options, registry, operation});
    if (digest_file != nullptr)
        digest_file->content = image.result.top.digest.text();
    outputs.commit([&] { destination->publish(image.result.entry); });
    return image;
}

} // namespace

void copy_images(const ImageCopyRequest& request, const std::function<void(const CopiedImage&)>& copied,
                 const OperationContext& operation) {
    registry::RegistryOptions registry = request.registry;
    mount_from_sources(registry, {request.source}, request.destination);
    CopyOptions options = request.options;
    if (request.reuse)
        options.earlier = with_context("the earlier version", [&] {
            const auto earlier = open_image_source(*request.reuse, operation, registry);
            return open_earlier_parts(*earlier, options.architecture, operation);
        });
    for (const Pair& pair : pairs_of(request, registry, operation))
        copied(copy_one(pair, request, options, registry, operation));
}

JoinResult create_index(const IndexRequest& request, const OperationContext& operation) {
    Outputs outputs(operation);
    Outputs::Document* digest_file = add_digest_file(request.digest_file, outputs);
    registry::RegistryOptions registry = request.registry;
    std::vector<ImageReference> references;
    std::vector<std::unique_ptr<ImageSource>> images;
    std::vector<JoinSource> sources;
    for (const NamedImage& source : request.sources) {
        references.push_back(source.reference);
        images.push_back(open_image_source(source.reference, operation, registry));
        sources.push_back({images.back().get(), source.name});
    }
    mount_from_sources(registry, references, request.destination);
    const auto destination = open_image_destination(request.destination, operation, registry);
    JoinResult result = join_images(sources, *destination, request.annotations, {}, operation);
    if (digest_file != nullptr)
        digest_file->content = result.top.digest.text();
    outputs.commit([&] { destination->publish(result.top); });
    return result;
}

} // namespace vm2oci
