#include "tools/vm2oci/image_copy.hpp"

#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/package/architecture.hpp"
#include "tools/documents/document.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/image_words.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <ostream>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

std::size_t copied_blobs(const CopiedImage& image) {
    return static_cast<std::size_t>(std::ranges::count(image.result.blobs, BlobOutcome::copied, &CopiedBlob::outcome));
}

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
                       image.result.top.digest.text(), copied_blobs(image), format_size(image.result.copied_bytes()),
                       image.result.blobs.size() - copied_blobs(image));
    if (const std::uint64_t reused = image.result.reused_bytes(); reused != 0)
        out << fmt::format("  reused  {} from the earlier version\n", format_size(reused));
    for (const Digest& referrer : image.referrers)
        out << fmt::format("  refers  {}\n", referrer.text());
}

} // namespace

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

ExitCode run_copy(const CopyArguments& arguments, const ImageReference& source, const ImageReference& destination,
                  Invocation& call) {
    if (arguments.all_tags && !arguments.digest_file.empty())
        fail(ErrorKind::usage, "--digest-file takes the digest of one image, and --all-tags may bring many");
    ImageCopyRequest request;
    request.source_name = arguments.source;
    request.destination_name = arguments.destination;
    request.source = source;
    request.destination = destination;
    request.tags = arguments.all_tags ? TagChoice::all : TagChoice::one;
    request.referrers = arguments.referrers ? ReferrerChoice::take : ReferrerChoice::leave;
    request.options.parallel_blobs = arguments.parallel_blobs;
    if (!arguments.architecture.empty())
        request.options.architecture = parse_wanted_platform(arguments.architecture);
    if (!arguments.reuse.empty())
        request.reuse = parse_image_only(arguments.reuse, "--reuse");
    if (!arguments.against.empty())
        request.against = parse_image_only(arguments.against, "--against");
    request.registry = arguments.registry->options();
    request.digest_file = arguments.digest_file;
    Json images = Json::array();
    copy_images(
        request,
        [&](const CopiedImage& image) {
            if (call.json())
                images.push_back(to_json(image));
            else
                print(image, call.out);
        },
        call.operation);
    if (call.json())
        call.out << document_text(arguments.all_tags ? Json{{"images", std::move(images)}} : images[0]);
    return ExitCode::done;
}

} // namespace vm2oci::cli
