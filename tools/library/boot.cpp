#include "tools/library/boot.hpp"

#include "formats/base/escape.hpp"
#include "runner/report/json.hpp"
#include "tools/library/border.hpp"

#include <vm2oci/documents.hpp>

#include <map>
#include <string>

namespace vm2oci::v0 {
namespace {

// Nobody sits at the console.
class SilentObserver final : public BootObserver {
  public:
    void console(std::string_view /*bytes*/) override {}
    void progress(const vm2oci::BootReport& /*report*/) override {}
    std::string input() override { return {}; }
    bool leave_wanted() override { return false; }
    int input_fd() const override { return -1; }
};

ReadyCondition ready_condition(const std::string& text) {
    static const std::map<std::string, ReadySignal> signals = {{"login", ReadySignal::login},
                                                               {"agent", ReadySignal::agent},
                                                               {"cloud-init", ReadySignal::cloud_init},
                                                               {"systemd", ReadySignal::system}};
    const auto signal = signals.find(text);
    if (signal != signals.end())
        return {signal->second, std::nullopt};
    return {ReadySignal::pattern, ConsolePattern(text)};
}

std::vector<ConsolePattern> patterns(const std::vector<std::string>& texts) {
    std::vector<ConsolePattern> result;
    result.reserve(texts.size());
    for (const std::string& text : texts)
        result.emplace_back(text);
    return result;
}

std::optional<vm2oci::Firmware> firmware(BootFirmware wanted) {
    switch (wanted) {
    case BootFirmware::bios:
        return vm2oci::Firmware::bios;
    case BootFirmware::uefi:
        return vm2oci::Firmware::uefi;
    case BootFirmware::uefi_secure:
        return vm2oci::Firmware::uefi_secure;
    case BootFirmware::automatic:
        break;
    }
    return std::nullopt;
}

} // namespace

vm2oci::BootRequest to_internal(const BootRequest& request) {
    vm2oci::BootRequest result;
    result.acceleration = request.acceleration == Acceleration::kvm   ? AccelerationChoice::kvm
                          : request.acceleration == Acceleration::tcg ? AccelerationChoice::tcg
                                                                      : AccelerationChoice::automatic;
    result.firmware = firmware(request.firmware);
    result.root = request.root;
    result.memory = request.memory;
    result.cpus = request.cpus;
    if (request.timeout_ms)
        result.timeout = Milliseconds(*request.timeout_ms);
    for (const std::string& text : request.ready)
        result.ready.push_back(ready_condition(text));
    result.expected = patterns(request.expect);
    result.fail = patterns(request.fail);
    result.ignored = request.ignore;
    result.commands = request.commands;
    result.network = request.user_network ? NetworkMode::user : NetworkMode::none;
    result.junit = request.junit;
    result.report_folder = request.report_folder;
    return result;
}

BootMachine silent_machine(const OperationContext& operation) {
    return [&operation](const BootSubject& subject, const vm2oci::BootRequest& request) {
        SilentObserver observer;
        return boot_subject(subject, request, observer, operation);
    };
}

BootReport to_public(const vm2oci::BootReport& report) {
    return read_boot_report(boot_report_json(report));
}

BootReport boot(const std::string& source, const BootRequest& request, const SourceOptions& source_options,
                const Operation& operation) {
    OperationBridge bridge(operation);
    const OperationContext context = bridge.context();
    return to_public(at_border([&] {
        BootCommand command;
        command.source = {
            source, parse_reference(source), to_internal(source_options), content_check(source_options), {}};
        command.request = to_internal(request);
        return vm2oci::boot(command, silent_machine(context), context);
    }));
}

} // namespace vm2oci::v0
