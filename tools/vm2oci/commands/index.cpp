// `vm2oci index create DEST SOURCE…`.
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "tools/documents/document.hpp"
#include "tools/flows/copy.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/image_words.hpp"
#include "tools/vm2oci/option_values.hpp"
#include "tools/vm2oci/registry_options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ostream>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

struct IndexArguments {
    std::string action;
    std::string destination;
    std::vector<std::string> sources;
    std::vector<std::string> annotations;
    std::string digest_file;
    std::shared_ptr<RegistryArguments> registry;
};

Json to_json(const JoinResult& result, const std::string& destination) {
    Json manifests = Json::array();
    for (const Descriptor& manifest : result.manifests)
        manifests.push_back({{"digest", manifest.digest.text()},
                             {"architecture", manifest.platform->architecture},
                             {"os", manifest.platform->os},
                             {"variant", manifest.platform->variant}});
    return {{"destination", destination},
            {"digest", result.top.digest.text()},
            {"media_type", result.top.media_type},
            {"size", result.top.size},
            {"manifests", std::move(manifests)}};
}

ExitCode run_index(const IndexArguments& arguments, Invocation& call) {
    IndexRequest request;
    for (const std::string& text : arguments.sources)
        request.sources.push_back({parse_image_only(text, "index create"), text});
    request.destination = parse_image_only(arguments.destination, "index create");
    refuse_mount_elsewhere(arguments.registry->mount_from, request.destination);
    request.annotations = parse_pairs(arguments.annotations, "--annotation");
    request.registry = arguments.registry->options();
    request.digest_file = arguments.digest_file;
    const JoinResult result = create_index(request, call.operation);
    if (call.json()) {
        call.out << document_text(to_json(result, arguments.destination));
        return ExitCode::done;
    }
    call.out << fmt::format("{}\n  index   {}\n", arguments.destination, result.top.digest.text());
    for (const Descriptor& manifest : result.manifests)
        call.out << fmt::format("  image   {} {}/{}\n", manifest.digest.text(), escape_untrusted(manifest.platform->os),
                                escape_untrusted(manifest.platform->architecture));
    return ExitCode::done;
}

} // namespace

void add_index_command(CommandTable& table) {
    auto arguments = std::make_shared<IndexArguments>();
    CLI::App& command =
        table.add("index", "Join images for several architectures under one name",
                  {{"vm2oci index create docker://registry.example/team/web01:v1 oci:amd64:web01 oci:arm64:web01",
                    "Push both images and an index of them"}},
                  [arguments](Invocation& call) { return run_index(*arguments, call); });
    command.add_option("ACTION", arguments->action, "create")->required()->check(CLI::IsMember({"create"}));
    command.add_option("DEST", arguments->destination, "The image that is made")->required();
    command.add_option("SOURCE", arguments->sources, "The images that it joins")->required()->expected(1, 64);
    command.add_option("--annotation", arguments->annotations, "Annotate the index (repeat)")
        ->option_text("KEY=VALUE")
        ->allow_extra_args(false)
        ->group(group::image);
    command.add_option("--digest-file", arguments->digest_file, "Write the index's digest into FILE when all is done")
        ->option_text("FILE")
        ->group(group::output);
    arguments->registry = add_registry_options(command);
    add_mount_option(command, *arguments->registry);
}

} // namespace vm2oci::cli
