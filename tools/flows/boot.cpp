#include "tools/flows/boot.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "runner/report/comparison.hpp"
#include "runner/report/summary.hpp"

#include <string_view>
#include <variant>

namespace vm2oci {
namespace {

constexpr std::string_view kHypervisorDied = "hypervisor-died";
constexpr std::string_view kDiskReadError = "disk-read-error";

bool ended_by(const BootReport& report, std::string_view rule) {
    return report.verdict && report.verdict->rule != nullptr && report.verdict->rule->id == rule;
}

bool is_verdict(const BootReport& report) {
    return !ended_by(report, kHypervisorDied) && !ended_by(report, kDiskReadError);
}

// Without its units there is nothing to compare the source with.
BootReport boot_beside_original(const BootCommand& command, const BootMachine& boot_machine, Outputs& outputs,
                                const OperationContext& operation) {
    const BootRequest& request = command.request;
    BootRequest watching = request;
    watching.commands.clear();
    watching.expected.clear();
    watching.fail.clear();
    watching.console = ConsoleMode::status;
    watching.junit.clear();
    watching.report_folder = request.report_folder.empty() ? "" : request.report_folder / "original";
    ReportFiles files(outputs, request.junit, request.report_folder);
    ReportFiles original_files(outputs, watching.junit, watching.report_folder);
    // The further disks are of the machine, which both of them are; a disk's parts are of that which is a plain disk.
    BootSourceRequest of_original = *command.original;
    of_original.source.disk_words = DiskWords::for_plain_disks;
    if (std::holds_alternative<ImageReference>(of_original.reference))
        of_original.source = of_original.source.for_machine();
    BootSource original = open_boot_source(of_original, operation);
    add_own_agent(original, operation);
    BootSourceRequest of_source = command.source;
    if (std::holds_alternative<ImageReference>(of_source.reference))
        of_source.source.parts = {};
    BootSource source = open_boot_source(of_source, operation);
    add_own_agent(source, operation);
    const BootReport there = boot_machine(original.subject, watching);
    original_files.fill(there);
    if (!is_verdict(there))
        outputs.commit();
    require_verdict(there);
    BootReport here = boot_machine(source.subject, request);
    here.comparison = compare_boots(there, here);
    files.fill(here);
    return here;
}

BootReport boot_alone(const BootCommand& command, const BootMachine& boot_machine, Outputs& outputs,
                      const OperationContext& operation) {
    ReportFiles files(outputs, command.request.junit, command.request.report_folder);
    BootSource source = open_boot_source(command.source, operation);
    // A container has no agent of its own that could run them.
    if (source.subject.kind != SubjectKind::guest && source.own_initramfs && !command.request.commands.empty())
        start_agent_inside(source);
    BootReport report = boot_machine(source.subject, command.request);
    files.fill(report);
    return report;
}

} // namespace

BootReport boot(const BootCommand& command, const BootMachine& boot_machine, const OperationContext& operation) {
    Outputs outputs(operation);
    BootReport report = command.original ? boot_beside_original(command, boot_machine, outputs, operation)
                                         : boot_alone(command, boot_machine, outputs, operation);
    outputs.commit();
    require_verdict(report);
    return report;
}

void require_verdict(const BootReport& report) {
    if (ended_by(report, kHypervisorDied))
        fail(ErrorKind::external,
             "QEMU ended unexpectedly: " + verdict_line(report) + ": " + escape_untrusted(report.qemu_messages));
    if (ended_by(report, kDiskReadError))
        fail(ErrorKind::corrupt, "the disk cannot be read: " + verdict_line(report));
}

} // namespace vm2oci
