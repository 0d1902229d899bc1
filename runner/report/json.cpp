#include "runner/report/json.hpp"

#include "formats/base/version.hpp"
#include "runner/report/summary.hpp"

#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

std::string print(const Json& document) {
    return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json text_or_null(std::string_view text) {
    return text.empty() ? Json(nullptr) : Json(text);
}

Json instant(BootInstant at) {
    return {{"wall_ms", at.wall.count()}, {"cpu_ms", at.cpu.count()}};
}

Json to_json(const KvmProbe& probe) {
    Json steps = Json::array();
    for (const KvmProbeStep& step : probe.steps)
        steps.push_back({{"name", step.name}, {"at_us", step.at.count()}});
    return {{"verdict", to_string(probe.verdict)},
            {"usable", probe.usable()},
            {"reason", probe.reason},
            {"elapsed_us", probe.elapsed.count()},
            {"steps", steps}};
}

Json to_json(const Finding& finding) {
    return {{"rule", finding.rule->id},
            {"severity", to_string(finding.rule->severity)},
            {"title", finding.rule->title},
            {"advice", finding.rule->advice},
            {"fix", finding.rule->fix.empty() ? Json(nullptr) : Json(finding.rule->fix)},
            {"line", finding.line},
            {"line_number", finding.line_number == 0 ? Json(nullptr) : Json(finding.line_number)},
            {"count", finding.count},
            {"at", instant(finding.at)}};
}

Json verdict_of(const BootReport& report) {
    if (!report.verdict)
        return nullptr;
    const Verdict& verdict = *report.verdict;
    Json result = {{"outcome", to_string(verdict.outcome)}, {"at", instant(verdict.at)}};
    for (const char* of_rule : {"rule", "title", "advice", "fix"})
        result[of_rule] = nullptr;
    if (verdict.rule != nullptr) {
        result["rule"] = verdict.rule->id;
        result["title"] = verdict.rule->title;
        result["advice"] = verdict.rule->advice;
        result["fix"] = text_or_null(verdict.rule->fix);
    }
    result["detail"] = text_or_null(verdict.detail);
    result["line"] = verdict.evidence ? Json(verdict.evidence->line) : Json(nullptr);
    result["line_number"] = nullptr;
    if (verdict.evidence && verdict.evidence->line_number != 0)
        result["line_number"] = verdict.evidence->line_number;
    return result;
}

Json machine_of(const BootReport& report) {
    return {{"accelerator", to_string(report.accelerator)},
            {"accelerator_reason", report.accelerator_reason},
            {"restart_reason", report.restart_reason.empty() ? Json(nullptr) : Json(report.restart_reason)},
            {"firmware", report.direct_kernel_size ? "none" : to_string(report.firmware)},
            {"direct_kernel_size", report.direct_kernel_size ? Json(*report.direct_kernel_size) : Json(nullptr)},
            {"type", to_string(report.profile.machine)},
            {"disk_bus", to_string(report.profile.disk)},
            {"network_model", to_string(report.profile.network)},
            {"cpu_level", to_string(report.profile.cpu_level)},
            {"profile_reasons", report.profile_reasons},
            {"network", report.network == NetworkMode::none ? "none" : "user"},
            {"memory", report.memory},
            {"cpus", report.cpus},
            {"qemu_version", report.qemu_version},
            {"qemu_arguments", report.qemu_arguments},
            {"qemu_messages", report.qemu_messages}};
}

Json to_json(const BootComparison& comparison) {
    return {
        {"original", comparison.original},
        {"original_passed", comparison.original_passed},
        {"fits", comparison.fits()},
        {"problem", comparison.problem.empty() ? Json(nullptr) : Json(comparison.problem)},
        {"units_there", comparison.units_there},
        {"units_missing", comparison.units_missing},
        {"units_gone_with_the_disk", comparison.units_left},
        {"units_added", comparison.units_added},
        {"failed_here", comparison.failed_here},
        {"ports_there", comparison.ports_there},
        {"ports_missing", comparison.ports_missing},
        {"ports_added", comparison.ports_added},
        {"modules_there", comparison.modules_there},
        {"ready", {{"there", instant(comparison.ready_there)}, {"here", instant(comparison.ready_here)}}},
        {"kernel_to_ready", {{"there", instant(comparison.kernel_there)}, {"here", instant(comparison.kernel_here)}}}};
}

} // namespace

std::string boot_report_json(const BootReport& report) {
    Json document = {{"schema_version", kSchemaVersion}};
    document["source"] = report.source;
    document["passed"] = report.passed();
    document["summary"] = verdict_sentence(report);
    document["verdict"] = verdict_of(report);
    document["milestones"] = Json::array();
    for (const MilestoneTime& time : report.milestones)
        document["milestones"].push_back({{"name", to_string(time.milestone)}, {"at", instant(time.at)}});
    document["checks"] = Json::array();
    for (const Check& check : report.checks) {
        Json entry = {{"name", check.name}, {"state", to_string(check.state)}};
        entry["at"] = check.at ? instant(*check.at) : Json(nullptr);
        if (!check.message.empty())
            entry["message"] = check.message;
        if (!check.output.empty())
            entry["output"] = check.output;
        document["checks"].push_back(std::move(entry));
    }
    document["findings"] = Json::array();
    for (const Finding& finding : report.findings)
        document["findings"].push_back(to_json(finding));
    document["resets"] = report.resets;
    document["machine"] = machine_of(report);
    document["probe"] = report.probe ? to_json(*report.probe) : Json(nullptr);
    document["agent"] = nullptr;
    if (report.agent)
        document["agent"] = {{"version", report.agent->version},
                             {"os", report.agent->os_name},
                             {"kernel", report.agent->kernel},
                             {"guest_exec", report.agent->can_execute}};
    document["vm2oci_agent"] = nullptr;
    if (report.own_agent)
        document["vm2oci_agent"] = {{"uptime_ms", report.own_agent->uptime.count()},
                                    {"state", report.own_agent->state},
                                    {"os", report.own_agent->os_name},
                                    {"addresses", report.own_agent->addresses},
                                    {"units_failed", report.own_agent->units_failed}};
    if (report.facts)
        document["facts"] = {{"units", report.facts->units},
                             {"units_failed", report.facts->units_failed},
                             {"listening", report.facts->listening},
                             {"modules", report.facts->modules}};
    if (report.comparison)
        document["comparison"] = to_json(*report.comparison);
    document["disk"] = {{"size", report.disk.size},
                        {"touched", report.disk.touched},
                        {"read", report.disk.read},
                        {"written", report.disk.written}};
    document["console_bytes"] = report.console.total();
    document["last_line"] = report.last_line;
    document["elapsed"] = instant(report.elapsed);
    return print(document);
}

std::string probe_json(const KvmProbe& probe) {
    Json document = {{"schema_version", kSchemaVersion}};
    document.update(to_json(probe));
    return print(document);
}

} // namespace vm2oci
