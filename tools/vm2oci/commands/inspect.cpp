// `vm2oci inspect SOURCE`.
#include "tools/flows/inspect.hpp"

#include "formats/base/error.hpp"
#include "formats/base/output_file.hpp"
#include "libconvert/package/architecture.hpp"
#include "tools/flows/sbom.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/disk_page.hpp"
#include "tools/vm2oci/guest_options.hpp"
#include "tools/vm2oci/guest_page.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/image_page.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <optional>
#include <ostream>

namespace vm2oci::cli {
namespace {

using Json = nlohmann::ordered_json;

struct InspectArguments {
    std::string source;
    std::shared_ptr<SourceOptions> source_options;
    std::string architecture;
    std::shared_ptr<GuestOptions> guest_options;
    std::string sbom;
};

// What --sbom asks for. A disk that is refused has no guest to list.
void write_sbom_of(const std::optional<GuestFindings>& guest, const InspectArguments& arguments) {
    if (arguments.sbom.empty())
        return;
    if (!guest || !guest->refusal.empty())
        fail(ErrorKind::unsupported, "there is no guest to list packages of");
    write_output(arguments.sbom, as_bytes(make_sbom(guest->opened, arguments.sbom)));
}

ExitCode run_on_disk(const DiskReference& reference, const InspectArguments& arguments, Invocation& call) {
    const auto [findings, guest] = inspect_disk(reference, arguments.source_options->request(),
                                                {arguments.guest_options->access(), LargeFiles::read}, call.operation);
    write_sbom_of(guest, arguments);
    if (call.json()) {
        Json document = {{"source", arguments.source}, {"disk", disk_to_json(findings)}};
        document["inside"] = guest ? guest_to_json(*guest) : Json(nullptr);
        call.out << document.dump(2) << '\n';
    } else {
        Page page;
        page.heading(arguments.source);
        describe_disk(page, findings);
        if (guest)
            describe_guest(page, *guest);
        call.out << page.text();
    }
    return findings.format_known ? ExitCode::done : ExitCode::refused;
}

ExitCode run_on_image(const ImageReference& reference, const InspectArguments& arguments, Invocation& call) {
    ImageReading reading;
    if (!arguments.architecture.empty())
        reading.architecture = parse_wanted_platform(arguments.architecture);
    reading.guest.access = arguments.guest_options->access();
    reading.check = arguments.source_options->check();
    const ImageFindings findings =
        inspect_image(reference, arguments.source_options->request(), std::move(reading), call.operation);
    write_sbom_of(findings.guest, arguments);
    if (call.json()) {
        Json document = image_to_json(findings);
        document["source"] = arguments.source;
        call.out << document.dump(2) << '\n';
    } else {
        Page page;
        page.heading(arguments.source);
        describe_image(page, findings);
        call.out << page.text();
    }
    return !findings.disk || findings.disk->format_known ? ExitCode::done : ExitCode::refused;
}

} // namespace

void add_inspect_command(CommandTable& table) {
    const auto arguments = std::make_shared<InspectArguments>();
    CLI::App& command =
        table.add("inspect", "Show what a disk or an image is, and whether it is safe to convert",
                  {{"vm2oci inspect web01.qcow2", "one page about a disk"},
                   {"vm2oci inspect --json oci:images:web01", "an image and the disk inside it, for programs"}},
                  [arguments](Invocation& call) {
                      const Reference source = parse_reference(arguments->source);
                      if (const auto* image = std::get_if<ImageReference>(&source))
                          return run_on_image(*image, *arguments, call);
                      return run_on_disk(std::get<DiskReference>(source), *arguments, call);
                  });
    command.add_option("SOURCE", arguments->source, "A disk or an image")->required();
    command.add_option("--arch", arguments->architecture, "Which image of an index to look at")
        ->option_text("ARCH")
        ->group(group::source);
    arguments->guest_options = add_guest_options(command);
    command
        .add_option("--sbom", arguments->sbom,
                    "Write what is installed in the guest: SPDX 2.3, or CycloneDX 1.5 to *.cdx.json")
        ->option_text("FILE")
        ->group(group::output);
    arguments->source_options = add_source_options(command);
    add_verify_option(command, *arguments->source_options);
}

} // namespace vm2oci::cli
