// `vm2oci inspect SOURCE`.
#include "tools/flows/inspect.hpp"

#include "formats/base/error.hpp"
#include "formats/base/outputs.hpp"
#include "libconvert/package/architecture.hpp"
#include "tools/documents/document.hpp"
#include "tools/documents/inspection.hpp"
#include "tools/flows/sbom.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/disk_page.hpp"
#include "tools/vm2oci/guest_options.hpp"
#include "tools/vm2oci/guest_page.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/image_page.hpp"
#include "tools/vm2oci/machine_page.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <ostream>

namespace vm2oci::cli {
namespace {

struct InspectArguments {
    std::string source;
    std::shared_ptr<SourceOptions> source_options;
    std::string architecture;
    std::shared_ptr<GuestOptions> guest_options;
    std::string sbom;
};

// What --sbom asks for: opened before the guest is, which may take a while.
class SbomFile {
  public:
    SbomFile(const std::string& path, const OperationContext& operation) : outputs_(operation), path_(path) {
        if (!path.empty())
            file_ = &outputs_.add_document(path);
    }
    // A disk that is refused has no guest to list.
    void write(const std::optional<GuestFindings>& guest) {
        if (file_ == nullptr)
            return;
        if (!guest || !guest->refusal.empty())
            fail(ErrorKind::unsupported, "there is no guest to list packages of");
        file_->content = make_sbom(guest->opened, path_);
        outputs_.commit();
    }

  private:
    Outputs outputs_;
    const std::string path_;
    Outputs::Document* file_ = nullptr;
};

// A qcow2 without its backing file is told whole: its own tables were read. Whatever else is refused was not read.
ExitCode exit_code_of(const DiskFindings& findings) {
    const bool lacks_files = findings.refusal_kind == ErrorKind::unsafe && findings.info.get<Qcow2Info>() != nullptr;
    return findings.format_known && (!findings.refusal || lacks_files) ? ExitCode::done : ExitCode::refused;
}

void describe_disk_seen(Page& page, const DiskSeen& disk) {
    if (disk.packing)
        page.row("compression", describe(*disk.packing));
    describe_disk(page, disk.findings);
}

std::string_view trust_line(const std::optional<ContentTrust>& trust) {
    if (!trust)
        return "";
    return *trust == ContentTrust::verified ? "verified: every disk is what the package's digests say"
                                            : "not verified against the package's digests, for only parts are read; "
                                              "--verify reads it all";
}

void describe_inspection(Page& page, const DiskInspection& machine) {
    if (machine.disks.size() == 1)
        describe_disk_seen(page, machine.disks.front());
    page.row_unless_empty("content", std::string(trust_line(machine.trust)));
    for (const std::string& remark : machine.remarks)
        page.row("remark", remark);
    if (machine.hardware) {
        page.heading("Machine");
        describe_machine(page, *machine.hardware);
    }
    for (std::size_t i = 0; machine.disks.size() > 1 && i < machine.disks.size(); ++i) {
        page.heading(fmt::format("Disk {}: {}", i + 1, machine.disks[i].name));
        describe_disk_seen(page, machine.disks[i]);
    }
    if (machine.guest)
        describe_guest(page, *machine.guest);
}

ExitCode run_on_disk(const DiskReference& reference, const InspectArguments& arguments, Invocation& call) {
    if (!arguments.architecture.empty())
        fail(ErrorKind::usage, "--arch chooses in an image's index, and this is a disk; leave it away");
    SbomFile sbom(arguments.sbom, call.operation);
    const DiskInspection machine = inspect_disk(reference, arguments.source_options->request(),
                                                {arguments.guest_options->access(), LargeFiles::read},
                                                arguments.source_options->check(), call.operation);
    sbom.write(machine.guest);
    if (call.json()) {
        call.out << document_text(to_json(machine, arguments.source));
    } else {
        Page page;
        page.heading(arguments.source);
        describe_inspection(page, machine);
        call.out << page.text();
    }
    for (const DiskSeen& disk : machine.disks)
        if (exit_code_of(disk.findings) != ExitCode::done)
            return exit_code_of(disk.findings);
    return ExitCode::done;
}

ExitCode run_on_image(const ImageReference& reference, const InspectArguments& arguments, Invocation& call) {
    ImageReading reading;
    if (!arguments.architecture.empty())
        reading.architecture = parse_wanted_platform(arguments.architecture);
    reading.guest.access = arguments.guest_options->access();
    reading.check = arguments.source_options->check();
    SbomFile sbom(arguments.sbom, call.operation);
    const ImageFindings findings =
        inspect_image(reference, arguments.source_options->request(), std::move(reading), call.operation);
    sbom.write(findings.guest);
    if (call.json()) {
        call.out << document_text(to_json(findings, arguments.source));
    } else {
        Page page;
        page.heading(arguments.source);
        describe_image(page, findings);
        call.out << page.text();
    }
    return findings.disk ? exit_code_of(*findings.disk) : ExitCode::done;
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
