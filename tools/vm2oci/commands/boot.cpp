// `vm2oci boot SOURCE`.
#include "runner/boot.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/package/architecture.hpp"
#include "runner/report/files.hpp"
#include "runner/report/json.hpp"
#include "runner/report/junit.hpp"
#include "runner/report/summary.hpp"
#include "tools/vm2oci/boot_display.hpp"
#include "tools/vm2oci/boot_options.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/page.hpp"
#include "tools/vm2oci/references.hpp"
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

} // namespace

void add_boot_command(CommandTable& table) {
    const auto arguments = std::make_shared<BootArguments>();
    CLI::App& command =
        table.add("boot", "Boot a disk, or the disk of an image, and judge whether it comes up",
                  {{"vm2oci boot web01.qcow2", "until the login prompt; exit code 4 if it does not come"},
                   {"vm2oci boot oci:images:web01 --junit boot.xml --report boot-report", "for a CI job"},
                   {"vm2oci boot web01.qcow2 --console", "at its serial console; Ctrl-] leaves"},
                   {"vm2oci boot web01.qcow2 --ready agent --exec 'systemctl is-active nginx'", "with a check inside"},
                   {"vm2oci boot --probe", "does KVM work on this machine?"}},
                  [arguments](Invocation& call) {
                      if (arguments->probe)
                          return print_probe(call);
                      if (arguments->source.empty())
                          fail(ErrorKind::usage, "boot needs a SOURCE (or --probe)");
                      const OpenedDisk disk =
                          open_source_disk(parse_reference(arguments->source), *arguments->source_options,
                                           host_architecture(), call.operation)
                              .disk;
                      const BootTestOptions& options = *arguments->boot_options;
                      const BootReport report = boot_disk({arguments->source, disk.device, nullptr}, options, call);
                      if (call.json())
                          call.out << boot_report_json(report) << '\n';
                      else
                          print_verdict(report, call);
                      return boot_exit_code(report, options);
                  });
    command.add_option("SOURCE", arguments->source, "A disk, or an image with a disk in it");
    command.add_flag("--probe", arguments->probe, "Only say whether KVM works on this machine");
    arguments->source_options = add_source_options(command);
    arguments->boot_options = add_boot_test_options(command, SeedOptions::offered);
}

} // namespace vm2oci::cli
