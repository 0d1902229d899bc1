#include "tools/flows/machine_advice.hpp"

#include "formats/base/escape.hpp"
#include "runner/qemu/notify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace vm2oci {
namespace {

// Kernels before this one know neither PCI Express nor AHCI well enough for q35.
constexpr std::array<unsigned, 3> kFirstForQ35 = {2, 6, 32};

unsigned leading_number(std::string_view text) {
    unsigned number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::array<unsigned, 3> version_numbers(std::string_view version) {
    std::array<unsigned, 3> numbers{};
    for (unsigned& number : numbers) {
        number = leading_number(version);
        const std::size_t dot = version.find('.');
        if (dot == std::string_view::npos)
            break;
        version.remove_prefix(dot + 1);
    }
    return numbers;
}

DriverPlace place_of(const KernelInfo& kernel, std::string_view name) {
    for (const auto* list : {&kernel.drivers, &kernel.older_drivers})
        for (const DriverInfo& driver : *list)
            if (driver.name == name)
                return driver.place;
    return DriverPlace::missing;
}

bool is_early(const KernelInfo& kernel, std::string_view name) {
    const DriverPlace place = place_of(kernel, name);
    return place == DriverPlace::builtin || place == DriverPlace::initrd;
}

// Whether it is known which drivers the kernel has: an initrd that was not read may hold any.
bool drivers_are_known(const KernelInfo& kernel) {
    return kernel.has_modules && kernel.boots_on_virtio.has_value();
}

void choose_disk(const KernelInfo& kernel, MachineAdvice& advice) {
    MachineProfile& profile = advice.profile;
    const std::string version = escape_untrusted(kernel.version);
    if (version_numbers(kernel.version) < kFirstForQ35) {
        profile.machine = MachineType::i440fx;
        advice.reasons.push_back(
            {AdviceTopic::machine, fmt::format("kernel {} is older than the q35 machine: i440fx", version)});
    }
    if (*kernel.boots_on_virtio)
        return;
    if (profile.machine == MachineType::q35 && is_early(kernel, "ahci")) {
        profile.disk = DiskBus::sata;
    } else if (is_early(kernel, "ata_piix") || is_early(kernel, "piix") || profile.machine == MachineType::i440fx) {
        profile.machine = MachineType::i440fx;
        profile.disk = DiskBus::ide;
    } else {
        advice.reasons.push_back(
            {AdviceTopic::disk,
             fmt::format("kernel {} finds no disk on virtio, SATA or IDE; the fix virtio adds the drivers", version)});
        return;
    }
    advice.reasons.push_back(
        {AdviceTopic::disk, fmt::format("kernel {} does not find its disk on virtio: {}; on KubeVirt set the disk's "
                                        "bus to sata, or add the drivers with the fix virtio",
                                        version, to_string(profile.disk))});
}

void choose_network(const KernelInfo& kernel, MachineAdvice& advice) {
    if (place_of(kernel, "virtio_net") != DriverPlace::missing)
        return;
    const bool e1000 = place_of(kernel, "e1000") != DriverPlace::missing;
    advice.profile.network = e1000 ? NetworkModel::e1000 : NetworkModel::rtl8139;
    advice.reasons.push_back(
        {AdviceTopic::network, fmt::format("kernel {} has no virtio_net: {}", escape_untrusted(kernel.version),
                                           to_string(advice.profile.network))});
}

bool starts_an_agent(const GuestInfo& info) {
    return std::any_of(info.agents.begin(), info.agents.end(), [](const InstalledAgent& agent) {
        return agent.enabled && (agent.name == "qemu-guest-agent" || agent.name == "vm2oci-agent");
    });
}

bool is_signed(const BootInfo& boot) {
    return std::any_of(boot.efi_programs.begin(), boot.efi_programs.end(), [&](const EfiProgram& program) {
        return program.is_signed.value_or(false) && (boot.efi_fallback.empty() || program.path == boot.efi_fallback);
    });
}

} // namespace

CpuLevel cpu_level_of(const OsInfo& os) {
    const unsigned major = leading_number(os.version);
    const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
        return std::find(names.begin(), names.end(), os.distribution) != names.end();
    };
    // AlmaLinux 10 is built for v2 as well as for v3; its usual images are v3.
    if (major >= 10 && is_one_of({"rhel", "centos", "rocky", "almalinux", "ol"}))
        return CpuLevel::v3;
    return CpuLevel::v2;
}

MachineAdvice advise_machine(const GuestInfo& info) {
    MachineAdvice advice;
    advice.secure_boot = is_signed(info.boot);
    advice.ready = starts_an_agent(info) ? DefaultReady::agent : DefaultReady::login;
    advice.tells_cloud_init =
        info.cloud_init.installed && !info.cloud_init.disabled && !info.boot.serial_consoles.empty();
    advice.has_seed = info.cloud_init.has_seed;
    if (info.init == "systemd" && leading_number(info.init_version) >= kFirstSystemdThatNotifies)
        advice.notify = NotifyMode::vsock;
    if (info.os.type == "windows") {
        advice.profile.disk = DiskBus::sata;
        advice.profile.network = NetworkModel::e1000;
        advice.reasons.push_back({AdviceTopic::disk, "Windows has no drivers for virtio of its own: sata and e1000"});
        return advice;
    }
    advice.profile.cpu_level = cpu_level_of(info.os);
    if (advice.profile.cpu_level != CpuLevel::v2)
        advice.reasons.push_back(
            {AdviceTopic::processor, fmt::format("{} needs a processor of level {}", escape_untrusted(info.os.product),
                                                 to_string(advice.profile.cpu_level))});
    if (!info.kernels.empty() && drivers_are_known(info.kernels.front())) {
        choose_disk(info.kernels.front(), advice);
        choose_network(info.kernels.front(), advice);
    }
    return advice;
}

} // namespace vm2oci
