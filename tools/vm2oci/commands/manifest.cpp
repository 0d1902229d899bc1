// `vm2oci manifest IMAGE|DISK`.
#include "tools/flows/manifest.hpp"

#include "formats/base/outputs.hpp"
#include "libconvert/package/architecture.hpp"
#include "tools/documents/document.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/guest_options.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/manifest_options.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <ostream>

namespace vm2oci::cli {
namespace {

struct ManifestArguments {
    std::string source;
    std::string architecture;
    std::string output;
    std::shared_ptr<ManifestOptions> manifest;
    std::shared_ptr<GuestOptions> guest;
    std::shared_ptr<SourceOptions> from;
};

ExitCode write_manifest(const ManifestArguments& arguments, Invocation& call) {
    ManifestRequest request{parse_reference(arguments.source), arguments.from->request(),    "",
                            arguments.guest->access(),         arguments.manifest->wishes(), arguments.from->check()};
    if (!arguments.architecture.empty())
        request.architecture = parse_wanted_platform(arguments.architecture);
    Outputs outputs(call.operation);
    Outputs::Document* file = arguments.output.empty() ? nullptr : &outputs.add_document(arguments.output);
    const Manifest manifest = make_manifest(request, call.operation);
    for (const std::string& remark : manifest.machine.remarks)
        call.operation.progress->note(remark);
    if (file != nullptr) {
        file->content = manifest.text;
        outputs.write();
        outputs.commit();
    }
    if (call.json())
        call.out << document_text({{"source", arguments.source},
                                   {"for", request.wishes.target->name},
                                   {"name", manifest.machine.name},
                                   {"manifest", manifest.text},
                                   {"remarks", manifest.machine.remarks}});
    else if (file == nullptr)
        call.out << manifest.text;
    return ExitCode::done;
}

} // namespace

void add_manifest_command(CommandTable& table) {
    const auto arguments = std::make_shared<ManifestArguments>();
    CLI::App& command = table.add(
        "manifest", "Print what runs a machine: KubeVirt's YAML, a pod, libvirt's domain and others",
        {{"vm2oci manifest docker://registry.example/vm/web01:1 | kubectl apply -f -", "run it on KubeVirt"},
         {"vm2oci manifest --image registry.example/vm/web01 --user-data ud.yaml --output vm.yaml oci:images:web01",
          "an image that is pushed later, with cloud-init's data"},
         {"vm2oci manifest --for libvirt web01.ova", "the domain of a package's machine"}},
        [arguments](Invocation& call) { return write_manifest(*arguments, call); });
    command.add_option("SOURCE", arguments->source, "An image or a disk")->required();
    arguments->manifest = add_manifest_options(command);
    command.add_option("-o,--output", arguments->output, "Write it to a file instead of standard output")
        ->option_text("FILE")
        ->group(group::output);
    command.add_option("--arch", arguments->architecture, "Which image of an index to run")
        ->option_text("ARCH")
        ->group(group::source);
    arguments->guest = add_guest_options(command);
    arguments->from = add_source_options(command);
    add_verify_option(command, *arguments->from);
}

} // namespace vm2oci::cli
