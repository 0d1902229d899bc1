// `vm2oci prune oci:DIR`.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/layout_prune.hpp"
#include "tools/documents/document.hpp"
#include "tools/flows/reference.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/option_values.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ostream>

namespace vm2oci::cli {
namespace {

struct PruneArguments {
    std::string layout;
    std::string least_age = "1h";
    bool dry_run = false;
};

const LayoutReference& the_layout(const Reference& reference) {
    const auto* image = std::get_if<ImageReference>(&reference);
    const auto* layout = image == nullptr ? nullptr : std::get_if<LayoutReference>(image);
    if (layout == nullptr || layout->tag)
        fail(ErrorKind::usage, "what is pruned is a whole layout: oci:DIR");
    return *layout;
}

ExitCode prune(const PruneArguments& arguments, Invocation& call) {
    const Reference reference = parse_reference(arguments.layout);
    const PruneOptions options{std::chrono::duration_cast<std::chrono::seconds>(parse_duration(arguments.least_age)),
                               arguments.dry_run ? PruneMode::plan_only : PruneMode::remove};
    const PruneReport report = prune_layout(the_layout(reference).folder, options, call.operation);
    if (call.json()) {
        nlohmann::ordered_json removed = nlohmann::ordered_json::array();
        for (const PrunedBlob& blob : report.removed)
            removed.push_back({{"digest", blob.digest.text()}, {"size", blob.size}});
        call.out << document_text({{"layout", arguments.layout},
                                   {"dry_run", arguments.dry_run},
                                   {"removed", std::move(removed)},
                                   {"removed_bytes", report.removed_bytes},
                                   {"kept", report.kept},
                                   {"kept_bytes", report.kept_bytes},
                                   {"young", report.young}});
        return ExitCode::done;
    }
    for (const PrunedBlob& blob : report.removed)
        call.out << fmt::format("{}  {}\n", blob.digest.text(), format_size(blob.size));
    call.out << fmt::format("{} of {} blobs {}, {}; {} stay, {}", report.removed.size(),
                            report.removed.size() + report.kept + report.young,
                            arguments.dry_run ? "would be removed" : "removed", format_size(report.removed_bytes),
                            report.kept, format_size(report.kept_bytes));
    if (report.young != 0)
        call.out << fmt::format(", and {} that nothing names yet and that are younger than {}", report.young,
                                arguments.least_age);
    call.out << '\n';
    return ExitCode::done;
}

} // namespace

void add_prune_command(CommandTable& table) {
    const auto arguments = std::make_shared<PruneArguments>();
    CLI::App& command =
        table.add("prune", "Remove from an OCI layout what no image reaches, and what killed runs left",
                  {{"vm2oci prune --dry-run oci:images", "what would be removed"},
                   {"vm2oci prune oci:images", "remove it"},
                   {"vm2oci prune --older-than 0s oci:images", "also what is new, where nobody else writes"}},
                  [arguments](Invocation& call) { return prune(*arguments, call); });
    command.add_option("LAYOUT", arguments->layout, "oci:DIR")->required();
    command.add_flag("-n,--dry-run", arguments->dry_run, "Say what would be removed, and leave")->group(group::output);
    command
        .add_option("--older-than", arguments->least_age,
                    "Leave what is younger, which another program may be about to name (default: 1h)")
        ->option_text("DURATION")
        ->check(duration_value())
        ->group(group::output);
}

} // namespace vm2oci::cli
