// The members of a boot's report as a document has them.
#pragma once

#include <vm2oci/boot_report.hpp>

namespace vm2oci::v0 {

template <class Archive>
void fields(Archive& archive, BootTime& value) {
    archive.field("wall_ms", value.wall_ms);
    archive.field("cpu_ms", value.cpu_ms);
}

template <class Archive>
void fields(Archive& archive, BootVerdict& value) {
    archive.field("outcome", value.outcome);
    archive.field("at", value.at);
    archive.field("rule", value.rule);
    archive.field("title", value.title);
    archive.field("advice", value.advice);
    archive.field("fix", value.fix);
    archive.field("detail", value.detail);
    archive.field("line", value.line);
    archive.field("line_number", value.line_number);
}

template <class Archive>
void fields(Archive& archive, BootMilestone& value) {
    archive.field("name", value.name);
    archive.field("at", value.at);
}

template <class Archive>
void fields(Archive& archive, BootCheck& value) {
    archive.field("name", value.name);
    archive.field("state", value.state);
    archive.field("at", value.at);
    archive.maybe("message", value.message);
    archive.maybe("output", value.output);
}

template <class Archive>
void fields(Archive& archive, BootFinding& value) {
    archive.field("rule", value.rule);
    archive.field("severity", value.severity);
    archive.field("title", value.title);
    archive.field("advice", value.advice);
    archive.field("fix", value.fix);
    archive.field("line", value.line);
    archive.field("line_number", value.line_number);
    archive.field("count", value.count);
    archive.field("at", value.at);
}

template <class Archive>
void fields(Archive& archive, BootedMachine& value) {
    archive.field("accelerator", value.accelerator);
    archive.field("accelerator_reason", value.accelerator_reason);
    archive.field("restart_reason", value.restart_reason);
    archive.field("firmware", value.firmware);
    archive.field("direct_kernel_size", value.direct_kernel_size);
    archive.field("type", value.type);
    archive.field("disk_bus", value.disk_bus);
    archive.field("network_model", value.network_model);
    archive.field("cpu_level", value.cpu_level);
    archive.field("profile_reasons", value.profile_reasons);
    archive.field("network", value.network);
    archive.field("memory", value.memory);
    archive.field("cpus", value.cpus);
    archive.field("qemu_version", value.qemu_version);
    archive.field("qemu_arguments", value.qemu_arguments);
    archive.field("qemu_messages", value.qemu_messages);
}

template <class Archive>
void fields(Archive& archive, ProbeStep& value) {
    archive.field("name", value.name);
    archive.field("at_us", value.at_us);
}

template <class Archive>
void fields(Archive& archive, ProbeResult& value) {
    archive.field("verdict", value.verdict);
    archive.field("usable", value.usable);
    archive.field("reason", value.reason);
    archive.field("elapsed_us", value.elapsed_us);
    archive.field("steps", value.steps);
}

template <class Archive>
void fields(Archive& archive, BootAgent& value) {
    archive.field("version", value.version);
    archive.field("os", value.os);
    archive.field("kernel", value.kernel);
    archive.field("guest_exec", value.guest_exec);
}

template <class Archive>
void fields(Archive& archive, BootOwnAgent& value) {
    archive.field("uptime_ms", value.uptime_ms);
    archive.field("state", value.state);
    archive.field("os", value.os);
    archive.field("addresses", value.addresses);
    archive.field("units_failed", value.units_failed);
}

template <class Archive>
void fields(Archive& archive, BootFacts& value) {
    archive.field("units", value.units);
    archive.field("units_failed", value.units_failed);
    archive.field("listening", value.listening);
    archive.field("modules", value.modules);
}

template <class Archive>
void fields(Archive& archive, BootTimes& value) {
    archive.field("there", value.there);
    archive.field("here", value.here);
}

template <class Archive>
void fields(Archive& archive, BootComparison& value) {
    archive.field("original", value.original);
    archive.field("original_passed", value.original_passed);
    archive.field("fits", value.fits);
    archive.field("problem", value.problem);
    archive.field("units_there", value.units_there);
    archive.field("units_missing", value.units_missing);
    archive.field("units_gone_with_the_disk", value.units_gone_with_the_disk);
    archive.field("units_added", value.units_added);
    archive.field("failed_here", value.failed_here);
    archive.field("ports_there", value.ports_there);
    archive.field("ports_missing", value.ports_missing);
    archive.field("ports_added", value.ports_added);
    archive.field("modules_there", value.modules_there);
    archive.field("ready", value.ready);
    archive.field("kernel_to_ready", value.kernel_to_ready);
}

template <class Archive>
void fields(Archive& archive, BootDiskUse& value) {
    archive.field("size", value.size);
    archive.field("touched", value.touched);
    archive.field("read", value.read);
    archive.field("written", value.written);
}

template <class Archive>
void fields(Archive& archive, BootReport& value) {
    archive.field("source", value.source);
    archive.field("passed", value.passed);
    archive.field("summary", value.summary);
    archive.field("verdict", value.verdict);
    archive.field("milestones", value.milestones);
    archive.field("checks", value.checks);
    archive.field("findings", value.findings);
    archive.field("resets", value.resets);
    archive.field("machine", value.machine);
    archive.field("probe", value.probe);
    archive.field("agent", value.agent);
    archive.field("vm2oci_agent", value.vm2oci_agent);
    archive.maybe("facts", value.facts);
    archive.maybe("comparison", value.comparison);
    archive.field("disk", value.disk);
    archive.field("console_bytes", value.console_bytes);
    archive.field("last_line", value.last_line);
    archive.field("elapsed", value.elapsed);
}

} // namespace vm2oci::v0
