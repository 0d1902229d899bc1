// `vm2oci inject SOURCE DEST`.
#include "formats/base/error.hpp"
#include "libconvert/package/timestamp.hpp"
#include "tools/documents/document.hpp"
#include "tools/flows/convert.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/convert_report.hpp"
#include "tools/vm2oci/edit_options.hpp"
#include "tools/vm2oci/guest_options.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

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

// What gets its format from nothing else is a qcow2.
DiskReference destination_disk(const InjectArguments& arguments) {
    if (arguments.destination.empty())
        fail(ErrorKind::usage, "DEST is missing: where the changed disk goes (or --dry-run)");
    const Reference reference = parse_reference(arguments.destination);
    if (const auto* disk = std::get_if<DiskReference>(&reference)) {
        require_written(*disk);
        return {disk->path, disk->format.value_or(DiskFormat::qcow2)};
    }
    fail(ErrorKind::usage, "inject writes disks; 'vm2oci convert' takes the same options and writes images");
}

ConvertRequest inject_request(const InjectArguments& arguments) {
    ConvertRequest request;
    request.edits = arguments.edits->request();
    if (request.edits.empty())
        fail(ErrorKind::usage, "nothing to change was asked for; see 'vm2oci inject --help'");
    request.mode = arguments.edits->mode();
    request.image.created = arguments.created.empty() ? default_timestamp() : parse_timestamp(arguments.created);
    request.source_name = arguments.source;
    request.destination_name = arguments.destination;
    request.source = parse_reference(arguments.source);
    DiskReference destination{"", DiskFormat::qcow2};
    if (request.mode == EditMode::apply)
        destination = destination_disk(arguments);
    request.disk.format = destination.format == DiskFormat::raw ? DiskOutputFormat::raw : DiskOutputFormat::qcow2;
    request.destination = std::move(destination);
    request.from = arguments.source_options->request();
    request.access = arguments.guest_options->access();
    request.shape = PlainDiskRequest();
    return request;
}

void report_injection(const ConvertRequest& request, const ConvertResult& result, Invocation& call) {
    if (!call.json()) {
        call.out << edit_report_text(result.edits, result.mode);
        return;
    }
    nlohmann::ordered_json json = {{"source", request.source_name}, {"edits", edit_report_json(result.edits)}};
    json["remarks"] = result.remarks;
    if (const auto* disk = std::get_if<PlainDiskResult>(&result.made)) {
        json.update(made_to_json(*disk, request));
    }
    call.out << document_text(json);
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
        [arguments](Invocation& call) {
            const ConvertRequest request = inject_request(*arguments);
            report_injection(request, convert(request, {}, call.operation), call);
            return ExitCode::done;
        });
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
