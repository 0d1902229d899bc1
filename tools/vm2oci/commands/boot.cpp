// `vm2oci boot SOURCE`.
#include "tools/flows/boot.hpp"

#include "formats/base/error.hpp"
#include "runner/report/comparison.hpp"
#include "runner/report/json.hpp"
#include "runner/report/summary.hpp"
#include "tools/vm2oci/boot_options.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/guest_options.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/page.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <ostream>

namespace vm2oci::cli {
namespace {

struct BootArguments {
    std::string source;
    std::shared_ptr<SourceOptions> source_options;
    std::shared_ptr<BootTestOptions> boot_options;
    std::shared_ptr<KernelRequest> kernel;
    std::string original; // --compare
    std::string root;     // --root-partition
    bool probe = false;
};

ExitCode print_probe(Invocation& call) {
    const KvmProbe probe = probe_kvm();
    if (call.json()) {
        call.out << probe_json(probe) << '\n';
        return ExitCode::done;
    }
    call.out << fmt::format("KVM is {}: {} ({:.1f} ms)\n", probe.usable() ? "usable" : "not usable", probe.reason,
                            static_cast<double>(probe.elapsed.count()) / 1000.0);
    for (const KvmProbeStep& step : probe.steps)
        call.out << fmt::format("  {:8.2f} ms  {}\n", static_cast<double>(step.at.count()) / 1000.0, step.name);
    return ExitCode::done;
}

BootSourceRequest request_of(const std::string& reference, const BootArguments& arguments) {
    return {reference,
            parse_reference(reference),
            arguments.source_options->request(),
            arguments.source_options->check(),
            {}};
}

BootCommand command_of(const BootArguments& arguments) {
    BootCommand command{request_of(arguments.source, arguments), arguments.boot_options->request(), {}};
    command.source.kernel = *arguments.kernel;
    command.request.root = arguments.root;
    if (!arguments.original.empty())
        command.original = request_of(arguments.original, arguments);
    return command;
}

ExitCode boot_command(const BootArguments& arguments, Invocation& call) {
    const BootCommand command = command_of(arguments);
    const BootReport report = boot(command, boot_at_terminal(call), call.operation);
    if (call.json()) {
        call.out << boot_report_json(report) << '\n';
    } else {
        print_verdict(report, call);
        if (report.comparison)
            for (const std::string& line : comparison_lines(*report.comparison))
                call.out << "  " << line << '\n';
    }
    const ExitCode code = boot_exit_code(report, command.request);
    return code == ExitCode::done && report.comparison && !report.comparison->fits() ? ExitCode::verdict_no : code;
}

} // namespace

void add_boot_command(CommandTable& table) {
    const auto arguments = std::make_shared<BootArguments>();
    CLI::App& command =
        table.add("boot", "Boot a disk, the disk of an image or a bundle, and judge whether it comes up",
                  {{"vm2oci boot web01.qcow2", "until the login prompt; exit code 4 if it does not come"},
                   {"vm2oci boot oci:images:web01 --junit boot.xml --report boot-report", "for a CI job"},
                   {"vm2oci boot web01.qcow2 --console", "at its serial console; Ctrl-] leaves"},
                   {"vm2oci boot web01.qcow2 --ready agent --exec 'systemctl is-active nginx'", "with a check inside"},
                   {"vm2oci boot oci:images:web01-bundle --compare web01.qcow2", "what does the bundle's kernel cost?"},
                   {"vm2oci boot --probe", "does KVM work on this machine?"}},
                  [arguments](Invocation& call) {
                      if (arguments->probe)
                          return print_probe(call);
                      if (arguments->source.empty())
                          fail(ErrorKind::usage, "boot needs a SOURCE (or --probe)");
                      return boot_command(*arguments, call);
                  });
    command.add_option("SOURCE", arguments->source, "A disk, or an image with a disk in it");
    command.add_flag("--probe", arguments->probe, "Only say whether KVM works on this machine");
    arguments->source_options = add_source_options(command);
    add_verify_option(command, *arguments->source_options);
    add_root_option(command, arguments->root);
    arguments->kernel = add_kernel_options(command);
    command
        .add_option("--compare", arguments->original,
                    "Boot this disk or image too, and say which units, ports and failures differ; exit code 4 if "
                    "anything that runs there does not run here")
        ->option_text("ORIGINAL")
        ->group(group::boot);
    arguments->boot_options = add_boot_test_options(command, SeedOptions::offered);
}

} // namespace vm2oci::cli
