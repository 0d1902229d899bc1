#include "tools/vm2oci/boot_options.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/tree/seed_iso.hpp"
#include "runner/report/files.hpp"
#include "runner/report/json.hpp"
#include "runner/report/summary.hpp"
#include "tools/vm2oci/boot_display.hpp"
#include "tools/vm2oci/help.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>
#include <map>
#include <ostream>

namespace vm2oci::cli {
namespace {

constexpr std::uint64_t kMinMemory = 64 * MiB; // less than any system in use boots with
constexpr unsigned kMaxCpus = 255;             // of a machine without an interrupt remapper
constexpr std::size_t kMaxSeedFile = 4 * 1024 * 1024;

const std::map<std::string, AccelerationChoice> kAccelerators = {
    {"auto", AccelerationChoice::automatic}, {"kvm", AccelerationChoice::kvm}, {"tcg", AccelerationChoice::tcg}};
const std::map<std::string, ReadySignal> kReadySignals = {{"login", ReadySignal::login},
                                                          {"agent", ReadySignal::agent},
                                                          {"cloud-init", ReadySignal::cloud_init},
                                                          {"systemd", ReadySignal::system}};
const std::map<std::string, DiskBus> kDiskBuses = {
    {"virtio", DiskBus::virtio}, {"sata", DiskBus::sata}, {"ide", DiskBus::ide}};
const std::map<std::string, NetworkModel> kNetworkModels = {
    {"virtio", NetworkModel::virtio}, {"e1000", NetworkModel::e1000}, {"rtl8139", NetworkModel::rtl8139}};

std::uint16_t parse_port(std::string_view text, const std::string& whole) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0)
        fail(ErrorKind::usage, "--forward takes HOSTPORT:GUESTPORT, such as 8022:22, not " + quote_untrusted(whole));
    return port;
}

PortForward parse_forward(const std::string& text) {
    const std::size_t colon = text.find(':');
    const std::string_view view = text;
    if (colon == std::string::npos)
        parse_port("", text);
    return {parse_port(view.substr(0, colon), text), parse_port(view.substr(colon + 1), text)};
}

std::string read_seed_file(const std::string& path) {
    const auto text = read_file(path, kMaxSeedFile);
    if (!text)
        fail(ErrorKind::not_found, "cannot open " + path + ": No such file or directory");
    return *text;
}

Firmware firmware_of(const BootTestOptions& options, const BlockDevice& disk) {
    if (options.firmware == "bios")
        return Firmware::bios;
    if (options.firmware == "uefi")
        return Firmware::uefi;
    if (options.firmware == "uefi-secure")
        return Firmware::uefi_secure;
    return firmware_for(disk);
}

void print_result(const BootReport& report, Invocation& call) {
    if (call.json()) {
        call.out << boot_report_json(report) << '\n';
        return;
    }
    call.out << report.source << ": " << verdict_sentence(report) << '\n';
    if (report.verdict && report.verdict->evidence && !report.verdict->evidence->line.empty()) {
        const Finding& evidence = *report.verdict->evidence;
        const std::string place =
            evidence.line_number == 0 ? "" : fmt::format("line {} of the console: ", evidence.line_number);
        call.out << "  " << place << verdict_line(report) << '\n';
    }
    const std::string advice = verdict_advice(report);
    if (!advice.empty())
        call.out << "  " << advice << '\n';
    // Where the machine came up, what else failed is told by the checks alone.
    const bool up = report.verdict && report.verdict->outcome == Outcome::ready;
    for (const Check& check : report.checks) {
        if (!up || check.state != CheckState::failed)
            continue;
        call.out << "  check failed: " << escape_untrusted(check.name) << ": " << escape_untrusted(check.message)
                 << '\n';
        if (!check.output.empty())
            call.out << "    " << escape_untrusted(check.output) << '\n';
    }
}

} // namespace

VmSpec machine_spec(const BootTestOptions& options, std::shared_ptr<const BlockDevice> disk) {
    VmSpec spec;
    spec.profile.machine = options.machine == "i440fx" ? MachineType::i440fx : MachineType::q35;
    spec.profile.disk = kDiskBuses.at(options.disk_bus);
    spec.profile.network = kNetworkModels.at(options.network_model);
    spec.profile.cpu = options.cpu;
    spec.memory = parse_size(options.memory);
    spec.cpus = options.cpus;
    spec.firmware = firmware_of(options, *disk);
    spec.network = options.network == "user" ? NetworkMode::user : NetworkMode::none;
    for (const std::string& text : options.forward)
        spec.forwards.push_back(parse_forward(text));
    if (!spec.forwards.empty() && spec.network == NetworkMode::none)
        fail(ErrorKind::usage, "--forward needs --network user");
    if (spec.memory < kMinMemory)
        fail(ErrorKind::usage, "--memory is too small to boot anything; at least 64M");
    if (spec.cpus == 0 || spec.cpus > kMaxCpus)
        fail(ErrorKind::usage, fmt::format("--cpus goes from 1 to {}", kMaxCpus));
    spec.disk = std::move(disk);
    if (!options.user_data.empty() || !options.meta_data.empty() || !options.network_config.empty()) {
        SeedFiles files;
        files.user_data = options.user_data.empty() ? "#cloud-config\n{}\n" : read_seed_file(options.user_data);
        files.meta_data =
            options.meta_data.empty() ? default_meta_data(files.user_data) : read_seed_file(options.meta_data);
        if (!options.network_config.empty())
            files.network_config = read_seed_file(options.network_config);
        spec.seed = make_seed_disk(files);
    }
    return spec;
}

BootOptions boot_options(const BootTestOptions& options, const std::string& source) {
    BootOptions result;
    result.source = source;
    result.acceleration = kAccelerators.at(options.accelerator);
    if (!options.timeout.empty())
        result.timeout = parse_duration(options.timeout);
    result.commands = options.exec;
    for (const std::string& text : options.ready) {
        const auto signal = kReadySignals.find(text);
        if (signal == kReadySignals.end())
            result.policy.ready.push_back({ReadySignal::pattern, ConsolePattern(text)});
        else
            result.policy.ready.push_back({signal->second, std::nullopt});
    }
    for (const std::string& text : options.expect)
        result.policy.expected.emplace_back(text);
    for (const std::string& text : options.fail)
        result.policy.fail.emplace_back(text);
    for (const std::string& id : options.ignore) {
        if (find_rule(id) == nullptr)
            fail(ErrorKind::usage, "there is no rule " + quote_untrusted(id) + " to ignore");
        result.policy.ignored.push_back(id);
    }
    return result;
}

ExitCode boot_and_report(std::shared_ptr<const BlockDevice> disk, const std::string& source,
                         const BootTestOptions& options, Invocation& call) {
    const VmSpec spec = machine_spec(options, std::move(disk));
    const BootOptions boot = boot_options(options, source);
    BootDisplay display(call, options.console ? ConsoleMode::interactive : ConsoleMode::status, options.junit);
    const BootReport report = boot_machine(spec, boot, display, call.operation);
    display.finish(report);
    if (!options.report.empty())
        write_report_folder(options.report, report);
    print_result(report, call);
    if (report.verdict->outcome == Outcome::stopped)
        return options.console ? ExitCode::done : ExitCode::cancelled;
    // QEMU's own death and an unreadable image are no verdict about the machine.
    if (report.verdict->rule != nullptr && report.verdict->rule->id == "hypervisor-died")
        fail(ErrorKind::external,
             "QEMU ended unexpectedly: " + verdict_line(report) + ": " + escape_untrusted(report.qemu_messages));
    if (report.verdict->rule != nullptr && report.verdict->rule->id == "disk-read-error")
        fail(ErrorKind::corrupt, "the disk cannot be read: " + verdict_line(report));
    return report.passed() ? ExitCode::done : ExitCode::verdict_no;
}

std::shared_ptr<BootTestOptions> add_boot_test_options(CLI::App& command) {
    auto options = std::make_shared<BootTestOptions>();
    const auto text = [&](const char* name, std::string& value, const char* value_name, const char* description) {
        return command.add_option(name, value, description)->option_text(value_name)->group(group::boot);
    };
    const auto list = [&](const char* name, std::vector<std::string>& values, const char* value_name,
                          const char* description) {
        return command.add_option(name, values, description)
            ->option_text(value_name)
            ->allow_extra_args(false)
            ->group(group::boot);
    };
    text("--accel", options->accelerator, "auto|kvm|tcg", "KVM where it works, else emulation (default: auto)")
        ->check(CLI::IsMember({"auto", "kvm", "tcg"}));
    text("--backend", options->backend, "auto|qemu", "What runs the machine (default: auto)")
        ->check(CLI::IsMember({"auto", "qemu"}));
    text("--firmware", options->firmware, "auto|bios|uefi|uefi-secure",
         "Default: what the disk is made for; uefi-secure enforces Secure Boot")
        ->check(CLI::IsMember({"auto", "bios", "uefi", "uefi-secure"}));
    text("--machine", options->machine, "q35|i440fx", "i440fx for old guests (default: q35)")
        ->check(CLI::IsMember({"q35", "i440fx"}));
    text("--disk-bus", options->disk_bus, "virtio|sata|ide", "What the disk hangs on (default: virtio)")
        ->check(CLI::IsMember({"virtio", "sata", "ide"}));
    text("--nic", options->network_model, "virtio|e1000|rtl8139", "The network interface (default: virtio)")
        ->check(CLI::IsMember({"virtio", "e1000", "rtl8139"}));
    text("--cpu", options->cpu, "MODEL", "QEMU's processor model (default: host with KVM, else x86-64-v2)");
    text("--memory", options->memory, "SIZE", "The machine's memory (default: 1G)");
    command.add_option("--cpus", options->cpus, "The machine's processors (default: 2)")
        ->option_text("N")
        ->group(group::boot);
    text("--timeout", options->timeout, "DURATION", "Limit until ready, in processor time when emulated (default: 3m)");
    list("--ready", options->ready, "SIGNAL",
         "login, agent, cloud-init, systemd, or a regular expression for a line of the console; repeat: all must come "
         "(default: login prompt, or an agent that says that the system is up)");
    list("--expect", options->expect, "REGEX", "A line that the console must show; repeatable");
    list("--fail", options->fail, "REGEX", "A line that the console must not show; repeatable");
    list("--ignore", options->ignore, "RULE", "A rule of the judge that becomes a remark; repeatable");
    list("--exec", options->exec, "COMMAND", "Run inside by the guest agent and expect exit code 0; repeatable");
    text("--user-data", options->user_data, "FILE", "cloud-init's user-data, for this boot only");
    text("--meta-data", options->meta_data, "FILE", "cloud-init's meta-data, for this boot only");
    text("--network-config", options->network_config, "FILE", "cloud-init's network-config, for this boot only");
    text("--network", options->network, "none|user", "none (default), or user: outgoing connections")
        ->check(CLI::IsMember({"none", "user"}));
    list("--forward", options->forward, "HOST:GUEST",
         "Forward a port of this machine's loopback interface, and expect the guest to answer; repeatable");
    command.add_flag("--console", options->console, "The serial console at this terminal; Ctrl-] leaves")
        ->group(group::boot);
    text("--junit", options->junit, "FILE", "Write a JUnit file, from the first second on");
    text("--report", options->report, "DIR", "Write console.log, boot.json, junit.xml, report.html and screenshot.png");
    return options;
}

} // namespace vm2oci::cli
