#include "tools/vm2oci/boot_options.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/partition/partition.hpp"
#include "formats/tree/seed_iso.hpp"
#include "libconvert/guest/open_guest.hpp"
#include "runner/report/files.hpp"
#include "runner/report/summary.hpp"
#include "tools/vm2oci/boot_display.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/option_values.hpp"

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

Firmware firmware_of(const BootTestOptions& options, const BlockDevice& disk, const MachineAdvice& advice) {
    if (options.firmware == "bios")
        return Firmware::bios;
    if (options.firmware == "uefi")
        return Firmware::uefi;
    if (options.firmware == "uefi-secure")
        return Firmware::uefi_secure;
    const Firmware firmware = firmware_for(disk);
    return firmware == Firmware::uefi && advice.secure_boot && find_firmware(Firmware::uefi_secure)
               ? Firmware::uefi_secure
               : firmware;
}

// What the guest inside asks for. A disk in which nothing can be read boots, or not, on the default machine.
MachineAdvice look_inside(const BootSubject& subject, const BootTestOptions& options, Invocation& call) {
    const bool all_given = options.machine != "auto" && options.disk_bus != "auto" && options.network_model != "auto" &&
                           options.firmware != "auto" && !options.cpu.empty() && !options.ready.empty();
    if (all_given)
        return {};
    try {
        const OpenedGuest guest = open_guest(subject.disk, GuestBackend::native, call.operation);
        return guest.guest ? advise_machine(inspect_guest(guest, call.operation)) : MachineAdvice{};
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::io || error.kind() == ErrorKind::cancelled)
            throw;
        return {};
    }
}

bool is_left_to_us(const BootTestOptions& options, AdviceTopic topic) {
    switch (topic) {
    case AdviceTopic::machine:
        return options.machine == "auto";
    case AdviceTopic::disk:
        return options.disk_bus == "auto";
    case AdviceTopic::network:
        return options.network_model == "auto" && options.network != "none";
    case AdviceTopic::processor:
        return options.cpu.empty();
    }
    return true;
}

template <class Value>
void choose(Value& value, const std::map<std::string, Value>& names, const std::string& wanted) {
    if (wanted != "auto")
        value = names.at(wanted);
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

VmSpec machine_spec(const BootTestOptions& options, const BootSubject& subject, const MachineAdvice& advice) {
    VmSpec spec;
    // A kernel of its own does not have the drivers that advice goes by, but its maker's.
    if (!subject.kernel)
        spec.profile = advice.profile;
    spec.notify = advice.notify;
    for (const AdviceReason& reason : advice.reasons)
        if (!subject.kernel && is_left_to_us(options, reason.topic))
            spec.profile_reasons.push_back(reason.text);
    choose(spec.profile.machine, kMachines, options.machine);
    choose(spec.profile.disk, kDiskBuses, options.disk_bus);
    choose(spec.profile.network, kNetworkModels, options.network_model);
    spec.profile.cpu = options.cpu;
    spec.memory = parse_size(options.memory);
    spec.cpus = options.cpus;
    spec.firmware = subject.kernel ? Firmware::bios : firmware_of(options, *subject.disk, advice);
    spec.network = options.network == "user" ? NetworkMode::user : NetworkMode::none;
    for (const std::string& text : options.forward)
        spec.forwards.push_back(parse_forward(text));
    if (!spec.forwards.empty() && spec.network == NetworkMode::none)
        fail(ErrorKind::usage, "--forward needs --network user");
    if (spec.memory < kMinMemory)
        fail(ErrorKind::usage, "--memory is too small to boot anything; at least 64M");
    if (spec.cpus == 0 || spec.cpus > kMaxCpus)
        fail(ErrorKind::usage, fmt::format("--cpus goes from 1 to {}", kMaxCpus));
    spec.disk = subject.disk;
    spec.sector_size = gpt_sector_size(*subject.disk);
    if (spec.sector_size != 512)
        spec.profile_reasons.push_back(
            fmt::format("the partition table counts sectors of {} bytes: {}", spec.sector_size,
                        spec.profile.disk == DiskBus::virtio ? "the disk has them, as KubeVirt's blockSize gives it"
                                                             : "only virtio disks can have them, and this is none"));
    spec.seed = subject.seed;
    spec.kernel = subject.kernel;
    if (spec.kernel && options.firmware != "auto" && options.firmware != "bios")
        fail(ErrorKind::usage, "a kernel that is booted directly needs no --firmware");
    if (has_seed_files(options)) {
        SeedFiles files;
        files.user_data = options.user_data.empty() ? "#cloud-config\n{}\n" : read_seed_file(options.user_data);
        files.meta_data =
            options.meta_data.empty() ? default_meta_data(files.user_data) : read_seed_file(options.meta_data);
        if (!options.network_config.empty())
            files.network_config = read_seed_file(options.network_config);
        if (!options.vendor_data.empty())
            files.vendor_data = read_seed_file(options.vendor_data);
        spec.seed = make_seed_disk(files);
    }
    return spec;
}

BootOptions boot_options(const BootTestOptions& options, const BootSubject& subject, const MachineAdvice& advice) {
    BootOptions result;
    result.source = subject.name;
    result.facts = subject.facts;
    result.policy.by_default = advice.ready;
    const bool seeded = has_seed_files(options) || subject.seed != nullptr || advice.has_seed;
    if (options.ready.empty() && seeded && advice.tells_cloud_init)
        result.policy.ready = {
            {ReadySignal::cloud_init, std::nullopt},
            {advice.ready == DefaultReady::agent ? ReadySignal::agent : ReadySignal::login, std::nullopt}};
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
            fail(ErrorKind::usage, "there is no rule " + quote_untrusted(id) +
                                       " to ignore; a verdict ends with the name of its rule, in brackets");
        result.policy.ignored.push_back(id);
    }
    return result;
}

BootReport boot_disk(const BootSubject& subject, const BootTestOptions& options, Invocation& call) {
    const MachineAdvice advice = look_inside(subject, options, call);
    const VmSpec spec = machine_spec(options, subject, advice);
    const BootOptions boot = boot_options(options, subject, advice);
    BootDisplay display(call, options.console ? ConsoleMode::interactive : ConsoleMode::status, options.junit);
    BootReport report = boot_machine(spec, boot, display, call.operation);
    display.finish(report);
    if (!options.report.empty())
        write_report_folder(options.report, report);
    // QEMU's own death and an unreadable image are no verdict about the machine.
    if (report.verdict->rule != nullptr && report.verdict->rule->id == "hypervisor-died")
        fail(ErrorKind::external,
             "QEMU ended unexpectedly: " + verdict_line(report) + ": " + escape_untrusted(report.qemu_messages));
    if (report.verdict->rule != nullptr && report.verdict->rule->id == "disk-read-error")
        fail(ErrorKind::corrupt, "the disk cannot be read: " + verdict_line(report));
    return report;
}

ExitCode boot_exit_code(const BootReport& report, const BootTestOptions& options) {
    if (report.verdict->outcome == Outcome::stopped)
        return options.console ? ExitCode::done : ExitCode::cancelled;
    return report.passed() ? ExitCode::done : ExitCode::verdict_no;
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
    text("--accel", options->accelerator, "auto|kvm|tcg", "KVM where it works, else emulation (default: auto)")
        ->check(CLI::IsMember({"auto", "kvm", "tcg"}));
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
    text("--memory", options->memory, "SIZE", "The machine's memory (default: 1G)")->check(size_value());
    command.add_option("--cpus", options->cpus, "The machine's processors (default: 2)")
        ->option_text("N")
        ->group(group::boot);
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
