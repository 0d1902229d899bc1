#include "tools/vm2oci/image_copy.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/output_file.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/layout_index.hpp"
#include "libconvert/package/architecture.hpp"
#include "tools/flows/referrer_copy.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/image_words.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <ostream>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr std::size_t kMaxLayoutIndexBytes = 64 * MiB; // tens of thousands of tags

struct CopiedImage {
    std::string destination;
    CopyResult result;
    std::vector<Digest> referrers{};

    std::size_t copied() const {
        return static_cast<std::size_t>(std::ranges::count(result.blobs, BlobOutcome::copied, &CopiedBlob::outcome));
    }
};

Json to_json(const CopiedImage& image) {
    Json blobs = Json::array();
    for (const CopiedBlob& one : image.result.blobs)
        blobs.push_back({{"digest", one.blob.digest.text()},
                         {"media_type", one.blob.media_type},
                         {"size", one.blob.size},
                         {"copied", one.outcome == BlobOutcome::copied}});
    Json referrers = Json::array();
    for (const Digest& referrer : image.referrers)
        referrers.push_back(referrer.text());
    return {{"destination", image.destination},
            {"referrers", std::move(referrers)},
            {"digest", image.result.top.digest.text()},
            {"media_type", image.result.top.media_type},
            {"size", image.result.top.size},
            {"copied_bytes", image.result.copied_bytes()},
            {"reused_bytes", image.result.reused_bytes()},
            {"blobs", std::move(blobs)}};
}

void print(const CopiedImage& image, std::ostream& out) {
    out << fmt::format("{}\n  image   {}\n  blobs   {} copied ({}), {} already there\n", image.destination,
                       image.result.top.digest.text(), image.copied(), format_size(image.result.copied_bytes()),
                       image.result.blobs.size() - image.copied());
    if (const std::uint64_t reused = image.result.reused_bytes(); reused != 0)
        out << fmt::format("  reused  {} from the earlier version\n", format_size(reused));
    for (const Digest& referrer : image.referrers)
        out << fmt::format("  refers  {}\n", referrer.text());
}

} // namespace

void write_small_file(const std::string& path, const std::string& text) {
    write_output(path, as_bytes(text));
}

void add_copy_options(CLI::App& command, CopyArguments& arguments, const std::string& source_description,
                      const std::string& destination_description) {
    command.add_option("SOURCE", arguments.source, source_description)->required();
    command.add_option("DEST", arguments.destination, destination_description)->required();
    command.add_option("--arch", arguments.architecture, "Of an image with several architectures only this one")
        ->option_text("ARCH")
        ->group(group::image);
    command.add_flag("--all-tags", arguments.all_tags, "All tags of SOURCE, under the same names")->group(group::image);
    command
        .add_flag("--referrers", arguments.referrers,
                  "Copy what refers to the image too: signatures, SBOMs, attestations, by list or by tag")
        ->group(group::image);
    command.add_option("--digest-file", arguments.digest_file, "Write the image's digest into FILE when all is done")
        ->option_text("FILE")
        ->group(group::output);
    arguments.registry = add_registry_options(command);
    command
        .add_option("--parallel", arguments.parallel_blobs,
                    fmt::format("Blobs to move at the same time (default: {})", kParallelBlobs))
        ->option_text("N")
        ->check(CLI::Range(1, 16))
        ->group(group::registry);
}

std::vector<std::string> tags_of(const ImageReference& reference, const std::string& written,
                                 const registry::RegistryOptions& options, const OperationContext& operation) {
    const auto refuse_tag = [&] {
        fail(ErrorKind::usage, "--all-tags takes references without a tag, and '" + written + "' has one");
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
    fail(ErrorKind::usage, "--all-tags is for docker://, oci: and oci-archive: references, not for '" + written + "'");
}

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

ExitCode run_copy(const CopyArguments& arguments, const ImageReference& source, const ImageReference& destination,
                  Invocation& call) {
    if (arguments.all_tags && !arguments.digest_file.empty())
        fail(ErrorKind::usage, "--digest-file takes the digest of one image, and --all-tags may bring many");
    registry::RegistryOptions registry_options = arguments.registry->options();
    mount_from_sources(registry_options, {source}, destination);
    CopyOptions options;
    options.parallel_blobs = arguments.parallel_blobs;
    if (!arguments.architecture.empty())
        options.architecture = parse_wanted_platform(arguments.architecture);

    if (!arguments.reuse.empty())
        options.earlier = with_context("--reuse", [&] {
            const auto earlier =
                open_image_source(parse_image_only(arguments.reuse, "--reuse"), call.operation, registry_options);
            return open_earlier_parts(*earlier, options.architecture, call.operation);
        });

    std::vector<std::pair<ImageReference, ImageReference>> pairs;
    if (!arguments.all_tags) {
        pairs.emplace_back(source, destination);
    } else {
        const auto* named = std::get_if<RegistryReference>(&destination);
        const auto* layout = std::get_if<LayoutReference>(&destination);
        if ((named != nullptr && to_string(destination) == arguments.destination) ||
            (layout != nullptr && layout->tag) || (named == nullptr && layout == nullptr))
            fail(ErrorKind::usage, "--all-tags needs a docker:// or oci: destination without a tag");
        for (const std::string& tag : tags_of(source, arguments.source, registry_options, call.operation))
            pairs.emplace_back(with_tag(source, tag), with_tag(destination, tag));
        if (pairs.empty())
            fail(ErrorKind::not_found, arguments.source + " has no tags");
    }

    Json images = Json::array();
    std::string digest;
    for (const auto& [from, to] : pairs) {
        const auto input = open_image_source(from, call.operation, registry_options);
        const auto output = open_image_destination(to, call.operation, registry_options);
        CopiedImage image{to_string(to), copy_image(*input, *output, options, call.operation)};
        if (arguments.referrers)
            image.referrers = copy_referrers(image.result.top, {from, to, options, registry_options, call.operation});
        digest = image.result.top.digest.text();
        if (call.json())
            images.push_back(to_json(image));
        else
            print(image, call.out);
    }
    if (!arguments.digest_file.empty())
        write_small_file(arguments.digest_file, digest);
    if (call.json())
        call.out << (arguments.all_tags ? Json{{"images", std::move(images)}} : images[0]).dump(2) << '\n';
    return ExitCode::done;
}

} // namespace vm2oci::cli
