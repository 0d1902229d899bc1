// `vm2oci inject SOURCE DEST`.
#include "formats/base/error.hpp"
#include "formats/base/outputs.hpp"
#include "libconvert/convert.hpp"
#include "libconvert/package/timestamp.hpp"
#include "tools/flows/open_source.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/edit_options.hpp"
#include "tools/vm2oci/guest_options.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <ostream>

namespace vm2oci::cli {
namespace {

struct InjectArguments {
    std::string source;
    std::string destination;
    std::shared_ptr<SourceOptions> source_options;
    std::shared_ptr<EditOptions> edits;
    std::string created;
    std::shared_ptr<GuestOptions> guest_options;
};

DiskReference destination_disk(const InjectArguments& arguments) {
    if (arguments.destination.empty())
        fail(ErrorKind::usage, "DEST is missing: where the changed disk goes (or --dry-run)");
    const Reference reference = parse_reference(arguments.destination);
    if (const auto* disk = std::get_if<DiskReference>(&reference)) {
        require_written(*disk);
        return *disk;
    }
    fail(ErrorKind::usage, "inject writes disks; 'vm2oci convert' takes the same options and writes images");
}

ExitCode inject(const InjectArguments& arguments, Invocation& call) {
    const EditOptions& edits = *arguments.edits;
    const EditRequest request = edits.request();
    if (request.empty())
        fail(ErrorKind::usage, "nothing to change was asked for; see 'vm2oci inject --help'");
    const std::optional<SeedFiles> seed = wanted_seed_disk(request);
    const std::int64_t created = arguments.created.empty() ? default_timestamp() : parse_timestamp(arguments.created);
    DiskReference destination;
    if (edits.mode() == EditMode::apply)
        destination = destination_disk(arguments);
    const SourceMachine source =
        open_source_machine(parse_reference(arguments.source), arguments.source_options->request(), "", call.operation);
    OpenedDisk disk = only_disk(source).opened;
    const EditReport report =
        edit_disk(disk, request, {arguments.guest_options->access(), created}, edits.mode(), call.operation);
    nlohmann::ordered_json json = {{"source", arguments.source}, {"edits", edit_report_json(report)}};
    if (edits.mode() == EditMode::apply) {
        DiskOutput output;
        output.format = destination.format == DiskFormat::raw ? DiskOutputFormat::raw : DiskOutputFormat::qcow2;
        Outputs outputs;
        if (seed)
            json["seed_disk"] = add_seed_beside(*seed, destination.path, outputs).string();
        DiskApproval approve;
        if (std::filesystem::is_block_file(destination.path))
            source.verify(call.operation); // what is written to a device cannot be held back
        else
            approve = [&](const std::shared_ptr<const BlockDevice>& /*file*/, DiskFormat /*format*/) {
                source.verify(call.operation);
                outputs.commit();
                return true;
            };
        const DiskReport written = convert_to_disk(disk, output, destination.path, call.operation, approve);
        outputs.commit();
        json["destination"] = arguments.destination;
        json["disk"] = {{"format", to_string(written.format)},
                        {"file_size", written.file_size},
                        {"virtual_size", written.virtual_size},
                        {"allocated_size", written.allocated_size}};
    }
    if (call.json())
        call.out << json.dump(2) << '\n';
    else
        call.out << edit_report_text(report, edits.mode());
    return ExitCode::done;
}

} // namespace

void add_inject_command(CommandTable& table) {
    const auto arguments = std::make_shared<InjectArguments>();
    CLI::App& command = table.add(
        "inject", "Change the guest on a disk: cloud-init, keys, agents, sysprep, and what makes it boot here",
        {{"vm2oci inject --user-data user.yaml --ssh-key id.pub:root web01.qcow2 web01-new.qcow2",
          "a seed for cloud-init and a key for root"},
         {"vm2oci inject --fix --sysprep vmware.qcow2 template.qcow2", "a template for KubeVirt from a VMware machine"},
         {"vm2oci inject --fix=virtio,console --dry-run old.qcow2", "what would be changed, and why"}},
        [arguments](Invocation& call) { return inject(*arguments, call); });
    command.add_option("SOURCE", arguments->source, "A disk, or an image with a disk in it")->required();
    command.add_option("DEST", arguments->destination, "The changed disk (qcow2:PATH or raw:PATH; not with --dry-run)");
    arguments->source_options = add_source_options(command);
    arguments->guest_options = add_guest_options(command);
    arguments->edits = add_edit_options(command);
    command
        .add_option("--created", arguments->created,
                    "Time that changed files bear (default: $SOURCE_DATE_EPOCH, else the last write to the disk)")
        ->option_text("TIME")
        ->group(group::output);
}

} // namespace vm2oci::cli
