// `vm2oci inspect SOURCE`.
#include "formats/base/error.hpp"
#include "formats/base/output_file.hpp"
#include "formats/block/joined.hpp"
#include "libconvert/package/architecture.hpp"
#include "tools/flows/disk_containers.hpp"
#include "tools/flows/open_source.hpp"
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

// A qcow2 without its backing file is told whole: its own tables were read. Whatever else is refused was not read.
ExitCode exit_code_of(const DiskFindings& findings) {
    const bool lacks_files = findings.refusal_kind == ErrorKind::unsafe && findings.info.get<Qcow2Info>() != nullptr;
    return findings.format_known && (!findings.refusal || lacks_files) ? ExitCode::done : ExitCode::refused;
}

struct DiskSeen {
    const DiskContainer& file;
    DiskFindings findings;
};

// Of all disks together: a guest may lie on several.
std::optional<GuestFindings> examine_guest_on(const std::vector<DiskSeen>& disks, const InspectArguments& arguments,
                                              Invocation& call) {
    GuestReading reading{arguments.guest_options->access(), LargeFiles::read};
    std::vector<std::shared_ptr<const BlockDevice>> devices;
    for (const DiskSeen& disk : disks) {
        if (disk.findings.refusal)
            return std::nullopt;
        devices.push_back(open_disk(disk.file.bytes, disk.file.source, disk.file.siblings).device);
    }
    if (devices.size() == 1)
        return examine_guest(devices.front(), reading, call.operation);
    for (const auto& device : devices)
        reading.access.disk_sizes.push_back(device->size());
    return examine_guest(std::make_shared<const JoinedDevice>(devices), reading, call.operation);
}

Json disk_seen_json(const DiskSeen& disk) {
    Json json = disk_to_json(disk.findings);
    if (disk.file.packing)
        json["compression"] = packing_to_json(*disk.file.packing);
    return json;
}

void describe_disk_seen(Page& page, const DiskSeen& disk) {
    if (disk.file.packing)
        page.row("compression", describe(*disk.file.packing));
    describe_disk(page, disk.findings);
}

std::string_view trust_in(const MachineContainers& machine, const InspectArguments& arguments) {
    if (!machine.verifier)
        return "";
    return arguments.source_options->verify ? "verified: every disk is what the package's digests say"
                                            : "not verified against the package's digests, for only parts are read; "
                                              "--verify reads it all";
}

ExitCode inspect_disk(const DiskReference& reference, const InspectArguments& arguments, Invocation& call) {
    const MachineContainers machine =
        open_disk_containers(reference, arguments.source_options->request(), call.operation);
    std::vector<DiskSeen> disks;
    for (const DiskContainer& disk : machine.disks)
        disks.push_back({disk, examine_disk(disk.bytes, disk.source, disk.siblings)});
    const std::optional<GuestFindings> guest = examine_guest_on(disks, arguments, call);
    if (machine.verifier && arguments.source_options->verify)
        machine.verifier->finish(call.operation);
    write_sbom_of(guest, arguments);
    if (call.json()) {
        Json document = {{"source", arguments.source}, {"disk", disk_seen_json(disks.front())}};
        if (disks.size() > 1)
            for (const DiskSeen& disk : disks) {
                Json named = {{"name", disk.file.name}};
                named.update(disk_seen_json(disk));
                document["disks"].push_back(std::move(named));
            }
        if (machine.hardware)
            document["machine"] = machine_to_json(*machine.hardware);
        if (machine.verifier)
            document["content"] = arguments.source_options->verify ? "verified" : "not-verified";
        if (!machine.remarks.empty())
            document["remarks"] = machine.remarks;
        document["inside"] = guest ? guest_to_json(*guest) : Json(nullptr);
        call.out << document.dump(2) << '\n';
    } else {
        Page page;
        page.heading(arguments.source);
        if (disks.size() == 1)
            describe_disk_seen(page, disks.front());
        page.row_unless_empty("content", std::string(trust_in(machine, arguments)));
        for (const std::string& remark : machine.remarks)
            page.row("remark", remark);
        if (machine.hardware) {
            page.heading("Machine");
            describe_machine(page, *machine.hardware);
        }
        for (std::size_t i = 0; disks.size() > 1 && i < disks.size(); ++i) {
            page.heading(fmt::format("Disk {}: {}", i + 1, disks[i].file.name));
            describe_disk_seen(page, disks[i]);
        }
        if (guest)
            describe_guest(page, *guest);
        call.out << page.text();
    }
    for (const DiskSeen& disk : disks)
        if (exit_code_of(disk.findings) != ExitCode::done)
            return exit_code_of(disk.findings);
    return ExitCode::done;
}

ExitCode inspect_image(const ImageReference& reference, const InspectArguments& arguments, Invocation& call) {
    ImageReading reading;
    if (!arguments.architecture.empty())
        reading.architecture = parse_wanted_platform(arguments.architecture);
    reading.policy = arguments.source_options->request().policy;
    reading.guest.access = arguments.guest_options->access();
    if (std::holds_alternative<RegistryReference>(reference))
        reading.guest.large_files = LargeFiles::leave;
    const registry::RegistryOptions registry_options = arguments.source_options->registry->options();
    const auto image = open_image_source(reference, call.operation, registry_options);
    reading.verify = arguments.source_options->verify;
    ImageFindings findings = examine_image(*image, reading, call.operation);
    if (const auto* named = std::get_if<RegistryReference>(&reference))
        findings.referrers = registry::list_registry_referrers(*named, findings.content.manifest.digest,
                                                               registry_options, call.operation);
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
                          return inspect_image(*image, *arguments, call);
                      return inspect_disk(std::get<DiskReference>(source), *arguments, call);
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
