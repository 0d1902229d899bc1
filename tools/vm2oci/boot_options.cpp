#include "tools/vm2oci/boot_options.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/tree/seed_iso.hpp"
#include "runner/report/summary.hpp"
#include "tools/vm2oci/boot_display.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/hint_words.hpp"
#include "tools/vm2oci/option_values.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>
#include <ostream>

namespace vm2oci::cli {
namespace {

constexpr std::uint64_t kMinMemory = 64 * MiB; // less than any system in use boots with
constexpr unsigned kMaxCpus = 255;             // of a machine without an interrupt remapper
constexpr std::size_t kMaxSeedFile = 4ull * 1024 * 1024;

const std::map<std::string, AccelerationChoice> kAccelerators = {
    {"auto", AccelerationChoice::automatic}, {"kvm", AccelerationChoice::kvm}, {"tcg", AccelerationChoice::tcg}};
const std::map<std::string, ReadySignal> kReadySignals = {{"login", ReadySignal::login},
                                                          {"agent", ReadySignal::agent},
                                                          {"cloud-init", ReadySignal::cloud_init},
                                                          {"systemd", ReadySignal::system}};
const std::map<std::string, Firmware> kFirmwares = {
    {"bios", Firmware::bios}, {"uefi", Firmware::uefi}, {"uefi-secure", Firmware::uefi_secure}};
const std::map<std::string, MachineType> kMachines = {{"q35", MachineType::q35}, {"i440fx", MachineType::i440fx}};
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

bool has_seed_files(const BootTestOptions& options) {
    return !options.user_data.empty() || !options.meta_data.empty() || !options.network_config.empty() ||
           !options.vendor_data.empty();
}

// nullopt for "auto".
template <class Value>
std::optional<Value> choice(const std::map<std::string, Value>& names, const std::string& wanted) {
    return wanted == "auto" ? std::nullopt : std::optional(names.at(wanted));
}

SeedFiles read_seed(const BootTestOptions& options) {
    SeedFiles files;
    files.user_data = options.user_data.empty() ? "#cloud-config\n{}\n" : read_seed_file(options.user_data);
    files.meta_data =
        options.meta_data.empty() ? default_meta_data(files.user_data) : read_seed_file(options.meta_data);
    if (!options.network_config.empty())
        files.network_config = read_seed_file(options.network_config);
    if (!options.vendor_data.empty())
        files.vendor_data = read_seed_file(options.vendor_data);
    return files;
}

ReadyCondition parse_ready(const std::string& text) {
    const auto signal = kReadySignals.find(text);
    if (signal == kReadySignals.end())
        return {ReadySignal::pattern, ConsolePattern(text)};
    return {signal->second, std::nullopt};
}

// As verdict_advice(), with what the command line has for it.
std::string advice_in_options(const BootReport& report) {
    if (!report.verdict || report.verdict->rule == nullptr)
        return "";
    const Rule& rule = *report.verdict->rule;
    std::string text(rule.advice);
    if (const std::string_view option = option_for_rule(rule.id); !option.empty())
        text += fmt::format("{}{}", text.empty() ? "" : ": ", option);
    if (!rule.fix.empty())
        text += fmt::format("{}--fix={} usually mends it", text.empty() ? "" : "; ", rule.fix);
    return text;
}

void add_accelerator(CLI::App& command, BootTestOptions& options) {
    command.add_option("--accel", options.accelerator, "KVM where it works, else emulation (default: auto)")
        ->option_text("auto|kvm|tcg")
        ->check(CLI::IsMember({"auto", "kvm", "tcg"}))
        ->group(group::boot);
}

void add_sizes(CLI::App& command, BootTestOptions& options) {
    command.add_option("--memory", options.memory, "The machine's memory (default: as described, else 1G)")
        ->option_text("SIZE")
        ->check(size_value())
        ->group(group::boot);
    command
        .add_option("--cpus", options.cpus, "The machine's processors (default: as described, else 2; a container's 1)")
        ->option_text("N")
        ->group(group::boot);
}

void add_network(CLI::App& command, BootTestOptions& options, const char* forwarding) {
    command.add_option("--network", options.network, "none (default), or user: outgoing connections")
        ->option_text("none|user")
        ->check(CLI::IsMember({"none", "user"}))
        ->group(group::boot);
    command.add_option("--forward", options.forward, forwarding)
        ->option_text("HOST:GUEST")
        ->allow_extra_args(false)
        ->group(group::boot);
}

} // namespace

void print_verdict(const BootReport& report, Invocation& call) {
    call.out << report.source << ": " << verdict_sentence(report) << '\n';
    if (report.verdict && report.verdict->evidence && !report.verdict->evidence->line.empty()) {
        const Finding& evidence = *report.verdict->evidence;
        const std::string place =
            evidence.line_number == 0 ? "" : fmt::format("line {} of the console: ", evidence.line_number);
        call.out << "  " << place << verdict_line(report) << '\n';
    }
    const std::string advice = advice_in_options(report);
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

BootRequest BootTestOptions::request() const {
    BootRequest request;
    request.backend = backend == "qemu" ? MachineBackend::qemu : MachineBackend::automatic;
    request.acceleration = kAccelerators.at(accelerator);
    request.firmware = choice(kFirmwares, firmware);
    request.machine = choice(kMachines, machine);
    request.disk_bus = choice(kDiskBuses, disk_bus);
    request.network_model = choice(kNetworkModels, network_model);
    request.cpu = cpu;
    if (!memory.empty())
        request.memory = parse_size(memory);
    request.cpus = cpus;
    if (!timeout.empty())
        request.timeout = parse_duration(timeout);
    for (const std::string& text : ready)
        request.ready.push_back(parse_ready(text));
    for (const std::string& text : expect)
        request.expected.emplace_back(text);
    for (const std::string& text : fail)
        request.fail.emplace_back(text);
    for (const std::string& id : ignore) {
        if (find_rule(id) == nullptr)
            vm2oci::fail(ErrorKind::usage, "there is no rule " + quote_untrusted(id) +
                                               " to ignore; a verdict ends with the name of its rule, in brackets");
        request.ignored.push_back(id);
    }
    request.commands = exec;
    if (has_seed_files(*this))
        request.seed = read_seed(*this);
    request.network = network == "user" ? NetworkMode::user : NetworkMode::none;
    for (const std::string& text : forward)
        request.forwards.push_back(parse_forward(text));
    request.console = console ? ConsoleMode::interactive : ConsoleMode::status;
    request.junit = junit;
    request.report_folder = report;
    if (!request.forwards.empty() && request.network == NetworkMode::none)
        vm2oci::fail(ErrorKind::usage, "--forward needs --network user");
    if (request.memory && *request.memory < kMinMemory)
        vm2oci::fail(ErrorKind::usage, "--memory is too small to boot anything; at least 64M");
    if (request.cpus && (*request.cpus == 0 || *request.cpus > kMaxCpus))
        vm2oci::fail(ErrorKind::usage, fmt::format("--cpus goes from 1 to {}", kMaxCpus));
    return request;
}

BootMachine boot_at_terminal(Invocation& call) {
    return [&call](const BootSubject& subject, const BootRequest& request) {
        BootDisplay display(call, request.console);
        BootReport report = boot_subject(subject, request, display, call.operation);
        display.finish();
        return report;
    };
}

ExitCode boot_exit_code(const BootReport& report, const BootRequest& request) {
    if (report.verdict->outcome == Outcome::stopped)
        return request.console == ConsoleMode::interactive ? ExitCode::done : ExitCode::cancelled;
    return report.passed() ? ExitCode::done : ExitCode::verdict_no;
}

std::shared_ptr<BootTestOptions> add_machine_options(CLI::App& command) {
    auto options = std::make_shared<BootTestOptions>();
    add_accelerator(command, *options);
    add_sizes(command, *options);
    add_network(command, *options, "Forward a port of this machine's loopback interface; repeatable");
    return options;
}

std::shared_ptr<BootTestOptions> add_boot_test_options(CLI::App& command, SeedOptions seed) {
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
    add_accelerator(command, *options);
    text("--backend", options->backend, "auto|qemu", "What runs the machine (default: auto)")
        ->check(CLI::IsMember({"auto", "qemu"}));
    text("--firmware", options->firmware, "auto|bios|uefi|uefi-secure",
         "Default: what the disk is made for; uefi-secure enforces Secure Boot")
        ->check(CLI::IsMember({"auto", "bios", "uefi", "uefi-secure"}));
    text("--machine", options->machine, "auto|q35|i440fx", "Default: q35, i440fx where the guest is too old for it")
        ->check(CLI::IsMember({"auto", "q35", "i440fx"}));
    text("--disk-bus", options->disk_bus, "auto|virtio|sata|ide",
         "What the disk hangs on (default: virtio where the guest has the drivers)")
        ->check(CLI::IsMember({"auto", "virtio", "sata", "ide"}));
    text("--nic", options->network_model, "auto|virtio|e1000|rtl8139",
         "The network interface (default: virtio where the guest has the driver)")
        ->check(CLI::IsMember({"auto", "virtio", "e1000", "rtl8139"}));
    text("--cpu", options->cpu, "MODEL",
         "QEMU's processor model (default: host with KVM, else x86-64-v2, or -v3 where the guest needs it)");
    add_sizes(command, *options);
    text("--timeout", options->timeout, "DURATION", "Limit until ready, in processor time when emulated (default: 3m)")
        ->check(duration_value());
    list("--ready", options->ready, "SIGNAL",
         "login, agent, cloud-init, systemd, or a regular expression for a line of the console; repeat: all must come "
         "(default: the strongest that the guest can give: cloud-init's end where there is a seed, an agent where "
         "the guest starts one, else a login prompt)");
    list("--expect", options->expect, "REGEX", "A line that the console must show; repeatable");
    list("--fail", options->fail, "REGEX", "A line that the console must not show; repeatable");
    list("--ignore", options->ignore, "RULE", "A rule of the judge that becomes a remark; repeatable");
    list("--exec", options->exec, "COMMAND", "Run inside by the guest agent and expect exit code 0; repeatable");
    if (seed == SeedOptions::offered) {
        text("--user-data", options->user_data, "FILE", "cloud-init's user-data, for this boot only");
        text("--meta-data", options->meta_data, "FILE", "cloud-init's meta-data, for this boot only");
        text("--network-config", options->network_config, "FILE", "cloud-init's network-config, for this boot only");
        text("--vendor-data", options->vendor_data, "FILE", "cloud-init's vendor-data, for this boot only");
    }
    add_network(command, *options,
                "Forward a port of this machine's loopback interface, and expect the guest to answer; repeatable");
    command.add_flag("--console", options->console, "The serial console at this terminal; Ctrl-] leaves")
        ->group(group::boot);
    text("--junit", options->junit, "FILE", "Write a JUnit file, from the first second on");
    text("--report", options->report, "DIR", "Write console.log, boot.json, junit.xml, report.html and screenshot.png");
    return options;
}

std::shared_ptr<KernelRequest> add_kernel_options(CLI::App& command) {
    auto request = std::make_shared<KernelRequest>();
    const auto text = [&](const char* name, auto set, const char* value_name, const char* description) {
        command.add_option_function<std::string>(name, set, description)->option_text(value_name)->group(group::boot);
    };
    text(
        "--kernel",
        [request](const std::string& kernel) {
            request->kernel = kernel == "minimal" ? BootKernel::minimal : BootKernel::file;
            request->file = kernel;
        },
        "PATH", "Boot this kernel directly, without firmware and boot loader, or vm2oci's own: minimal");
    text(
        "--initrd", [request](const std::string& path) { request->initramfs = path; }, "PATH",
        "The initramfs of that kernel");
    text(
        "--append", [request](const std::string& line) { request->command_line = line; }, "TEXT",
        "What that kernel is told; a bundle brings its own");
    return request;
}

} // namespace vm2oci::cli
