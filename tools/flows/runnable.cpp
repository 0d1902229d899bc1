#include "tools/flows/runnable.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/manifest/preferences.hpp"
#include "tools/flows/machine_advice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace vm2oci {
namespace {

constexpr unsigned kProcessors = 2;
constexpr std::uint64_t kMemory = 2 * GiB;
constexpr std::uint64_t kWindowsMemory = 4 * GiB;
// Less than this boots none of today's distributions; appliances that say less were made for what was small then.
constexpr std::uint64_t kLeastMemory = 256 * MiB;
// virtio 1.0 came with Linux 4.0, and with Red Hat's 7.3, whose kernel is 3.10.0-514.
constexpr unsigned kFirstModernVirtio = 4;
constexpr std::string_view kRedHatKernel = "3.10.0-";
constexpr unsigned kFirstModernRedHat = 514;

unsigned leading(std::string_view text) {
    unsigned number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

bool has_old_virtio(std::string_view kernel) {
    if (kernel.substr(0, kRedHatKernel.size()) == kRedHatKernel && kernel.find(".el7") != std::string_view::npos)
        return leading(kernel.substr(kRedHatKernel.size())) < kFirstModernRedHat;
    const unsigned major = leading(kernel);
    return major != 0 && major < kFirstModernVirtio;
}

// Nothing was read of what is inside; a bundle and a root file system are what we made ourselves.
bool is_unrecognised(const MachineFacts& facts) {
    return (!facts.guest || facts.guest->os.product.empty()) && !facts.bundle && facts.form != RunnableForm::rootfs;
}

// "windows2019srv_64Guest", "winNetEnterpriseGuest", "Microsoft Windows Server 2016", "http://microsoft.com/win/2k19".
bool says_windows(const MachineHardware& hardware) {
    const std::string type = to_lower(hardware.os_type);
    return type.starts_with("win") || type.find("windows") != std::string::npos ||
           type.find("microsoft.com/win") != std::string::npos;
}

bool is_windows(const MachineFacts& facts) {
    if (is_unrecognised(facts))
        return facts.hardware && says_windows(*facts.hardware);
    return facts.guest && facts.guest->os.type == "windows";
}

const KernelInfo* kernel_of(const MachineFacts& facts) {
    return facts.guest && !facts.guest->kernels.empty() && !facts.bundle ? &facts.guest->kernels.front() : nullptr;
}

bool has_driver(const KernelInfo& kernel, std::string_view name) {
    const auto is_it = [&](const DriverInfo& driver) {
        return driver.name == name && driver.place != DriverPlace::missing && driver.place != DriverPlace::unknown;
    };
    return std::any_of(kernel.drivers.begin(), kernel.drivers.end(), is_it) ||
           std::any_of(kernel.older_drivers.begin(), kernel.older_drivers.end(), is_it);
}

bool has_agent(const MachineFacts& facts, std::string_view name) {
    return facts.guest && std::any_of(facts.guest->agents.begin(), facts.guest->agents.end(),
                                      [&](const InstalledAgent& agent) { return agent.name == name; });
}

// Where processors and memory come from.
std::string reason_for_sizes(const MachineHardware& hardware, const MachineWishes& wishes) {
    const bool asked = wishes.cpus || wishes.memory;
    if (wishes.cpus && wishes.memory)
        return "As they were asked for.";
    const std::string described = fmt::format("as its description ({}) has them", escape_untrusted(hardware.source));
    const bool is_described = (wishes.cpus || hardware.cpus) && (wishes.memory || hardware.memory);
    std::string rest = is_described ? described : "what most guests need, for nothing says more";
    if (!is_described && (hardware.cpus || hardware.memory))
        rest = described + ", or " + rest;
    if (asked)
        return "As they were asked for; what was not, " + rest + ".";
    rest.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(rest.front())));
    return rest + ".";
}

void choose_sizes(const MachineFacts& facts, const MachineWishes& wishes, RunnableMachine& machine) {
    if (!wishes.instance_type.empty() && (wishes.cpus || wishes.memory))
        fail(ErrorKind::usage, "an instance type stands for processors and memory; give it, or them");
    const MachineHardware hardware = facts.hardware.value_or(MachineHardware{});
    const unsigned cpus = std::max(1U, wishes.cpus.value_or(hardware.cpus.value_or(kProcessors)));
    const unsigned cores = wishes.cpus ? cpus : hardware.cores_per_socket.value_or(hardware.cpus ? 1 : cpus);
    machine.cores = cores != 0 && cpus % cores == 0 ? cores : 1;
    machine.sockets = cpus / machine.cores;
    const std::uint64_t usual = is_windows(facts) ? kWindowsMemory : kMemory;
    machine.memory = wishes.memory.value_or(std::max(kLeastMemory, hardware.memory.value_or(usual)));
    machine.reasons.sizes = reason_for_sizes(hardware, wishes);
    machine.instance_type =
        wishes.instance_type == "auto" ? instance_type_for(cpus, machine.memory) : wishes.instance_type;
}

std::optional<StartFirmware> described_firmware(const MachineFacts& facts) {
    if (!facts.hardware || !facts.hardware->firmware)
        return std::nullopt;
    if (*facts.hardware->firmware == MachineFirmware::bios)
        return StartFirmware::bios;
    return facts.hardware->secure_boot.value_or(false) ? StartFirmware::uefi_secure : StartFirmware::uefi;
}

void choose_firmware(const MachineFacts& facts, const MachineWishes& wishes, RunnableMachine& machine) {
    const auto described = described_firmware(facts);
    const bool bios = facts.guest && facts.guest->boot.bios;
    const bool uefi = facts.guest && facts.guest->boot.uefi;
    if (wishes.firmware) {
        machine.firmware = *wishes.firmware;
        machine.reasons.firmware = "As it was asked for.";
    } else if (machine.architecture == "arm64") {
        machine.firmware = described == StartFirmware::uefi_secure ? *described : StartFirmware::uefi;
        machine.reasons.firmware = "Machines of arm64 have no BIOS.";
    } else if (described) {
        machine.firmware = *described;
        const bool is_bios = *described == StartFirmware::bios;
        machine.reasons.firmware = "As its description has it.";
        if ((is_bios && uefi && !bios) || (!is_bios && bios && !uefi)) {
            machine.firmware = is_bios ? StartFirmware::uefi : StartFirmware::bios;
            machine.reasons.firmware = fmt::format("The description says {}, and its disk starts by {} alone.",
                                                   is_bios ? "BIOS" : "UEFI", is_bios ? "UEFI" : "BIOS");
            machine.remarks.push_back(machine.reasons.firmware);
        }
    } else if (uefi && !bios) {
        machine.firmware = StartFirmware::uefi;
        machine.reasons.firmware = "The disk has a boot loader for UEFI alone.";
    } else if (bios) {
        machine.reasons.firmware = uefi ? "The disk starts by either." : "The disk has a boot loader for BIOS alone.";
    } else {
        machine.reasons.firmware = "Nothing tells how it starts: by BIOS, as most disks.";
    }
    if (machine.firmware == StartFirmware::uefi && advise_machine(facts.guest.value_or(GuestInfo{})).secure_boot)
        machine.reasons.firmware += std::string(machine.reasons.firmware.empty() ? "" : " ") +
                                    "Its boot loader is signed: Secure Boot would take it.";
}

// What is known is the description alone: a guest that was on older hardware may know no other.
void take_described_bus(const MachineFacts& facts, RunnableMachine& machine) {
    if (is_windows(facts)) {
        machine.attachment = DiskAttachment::sata;
        machine.reasons.attachment =
            "Its description says Windows, which has no drivers for virtio of its own; nothing tells that it got some.";
        return;
    }
    if (!facts.hardware || facts.hardware->disks.empty())
        return;
    const MachineHardware& hardware = *facts.hardware;
    const std::optional<std::size_t> controller = hardware.disks.front().controller;
    if (!controller || *controller >= hardware.controllers.size())
        return;
    const ControllerKind kind = hardware.controllers[*controller].kind;
    if (kind != ControllerKind::ide && kind != ControllerKind::sata)
        return;
    machine.attachment = DiskAttachment::sata;
    machine.reasons.attachment = fmt::format("It was on {}, and nothing tells that the guest has drivers for virtio.",
                                             kind == ControllerKind::ide ? "IDE" : "SATA");
}

void choose_devices(const MachineFacts& facts, const MachineWishes& wishes, RunnableMachine& machine) {
    const KernelInfo* kernel = kernel_of(facts);
    const bool x86 = machine.architecture == "amd64";
    if (facts.guest && !facts.bundle && x86) {
        const MachineAdvice advice = advise_machine(*facts.guest);
        if (advice.profile.disk != DiskBus::virtio)
            machine.attachment = DiskAttachment::sata;
        for (const AdviceReason& reason : advice.reasons) {
            if (reason.topic == AdviceTopic::disk) {
                machine.reasons.attachment = reason.text;
                if (advice.profile.disk == DiskBus::virtio && !wishes.attachment) // none that its kernel knows is here
                    machine.remarks.push_back(reason.text);
            }
            if (reason.topic == AdviceTopic::processor)
                machine.remarks.push_back(reason.text);
        }
        if (advice.profile.disk == DiskBus::ide)
            machine.remarks.push_back("its kernel finds disks on IDE alone, which these machines do not have: add "
                                      "drivers for virtio first (the fix virtio)");
        if (advice.profile.machine == MachineType::i440fx) {
            machine.old_machine = true;
            machine.reasons.machine = "The guest is older than this machine type; if it does not come up, the cluster "
                                      "must allow \"pc\" (architectureConfiguration.amd64.emulatedMachines).";
        }
        if (is_windows(facts) && has_agent(facts, "virtio-blk driver"))
            machine.reasons.attachment = "Windows has viostor: after one start with a second disk on virtio, this one "
                                         "may go there, too.";
    }
    if (is_unrecognised(facts) && x86)
        take_described_bus(facts, machine);
    if (kernel != nullptr && !kernel->boots_on_virtio && x86)
        machine.reasons.attachment = fmt::format("Whether kernel {} finds its disk on virtio is not known; where it "
                                                 "does not, sata is the bus to try.",
                                                 escape_untrusted(kernel->version));
    machine.attachment = wishes.attachment.value_or(machine.attachment);
    if (wishes.attachment)
        machine.reasons.attachment.clear();
    if (kernel != nullptr && machine.attachment == DiskAttachment::virtio && x86 && has_old_virtio(kernel->version))
        machine.transitional_virtio = true;
}

NicModel nic_model_of(const MachineFacts& facts, const RunnableMachine& machine) {
    if (facts.bundle || machine.architecture != "amd64")
        return NicModel::virtio;
    if (is_windows(facts)) {
        if (has_agent(facts, "virtio-net driver"))
            return NicModel::virtio;
        const std::string product =
            to_lower(is_unrecognised(facts) ? facts.hardware->os_type : facts.guest->os.product);
        constexpr std::array<std::string_view, 7> kOld = {"2003",  "2000",       "2k3",   "winnet",
                                                          "winxp", "windows xp", "win/xp"};
        const bool is_old = std::any_of(kOld.begin(), kOld.end(),
                                        [&](std::string_view word) { return product.find(word) != std::string::npos; });
        return is_old ? NicModel::e1000 : NicModel::e1000e;
    }
    if (is_unrecognised(facts) && facts.hardware && !facts.hardware->nics.empty()) {
        const std::string model = to_lower(facts.hardware->nics.front().model);
        for (const auto& [name, known] :
             {std::pair{"e1000", NicModel::e1000}, {"e1000e", NicModel::e1000e}, {"rtl8139", NicModel::rtl8139}})
            if (model == name)
                return known;
    }
    const KernelInfo* kernel = kernel_of(facts);
    if (kernel == nullptr || !kernel->boots_on_virtio || !kernel->has_modules)
        return NicModel::virtio;
    for (const auto& [driver, model] :
         {std::pair{"virtio_net", NicModel::virtio}, {"e1000e", NicModel::e1000e}, {"e1000", NicModel::e1000}})
        if (has_driver(*kernel, driver))
            return model;
    return NicModel::rtl8139;
}

std::string words_of(const MachineNic& nic, std::string_view number) {
    std::string words = fmt::format("interface {}", number);
    if (!nic.network.empty())
        words += " on " + quote_untrusted(nic.network);
    if (!nic.mac.empty())
        words += " with MAC " + nic.mac;
    return words;
}

// Only one interface can be on the pod's network; where the others go, only the user knows.
void choose_nics(const MachineFacts& facts, const MachineWishes& wishes, RunnableMachine& machine) {
    std::vector<MachineNic> nics = facts.hardware ? facts.hardware->nics : std::vector<MachineNic>(1);
    if (nics.size() < wishes.networks.size())
        nics.resize(wishes.networks.size());
    const NicModel model = wishes.nic_model.value_or(nic_model_of(facts, machine));
    for (std::size_t i = 0; i < nics.size(); ++i) {
        const std::string wish = i < wishes.networks.size() ? wishes.networks[i] : i == 0 ? "pod" : "";
        if (wish.empty()) {
            machine.remarks.push_back(words_of(nics[i], std::to_string(i + 1)) +
                                      " is left out, for nobody said which network it is for");
            continue;
        }
        RunnableNic nic{model, nics[i].mac, wish == "pod" ? "" : wish, {}};
        if (!nics[i].network.empty())
            nic.origin = quote_untrusted(nics[i].network);
        machine.nics.push_back(std::move(nic));
    }
    if (facts.hardware && nics.empty())
        machine.remarks.push_back("its description has no network interface, and so has this machine");
    if (model != NicModel::virtio && !wishes.nic_model)
        machine.reasons.network = is_unrecognised(facts)
                                      ? "Nothing tells that the guest has a driver for virtio, and this one is in most."
                                      : "The guest has no driver for virtio.";
}

bool is_openstack_network_data(const std::string& text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    return first != std::string::npos && text[first] == '{' && text.find("\"links\"") != std::string::npos;
}

void choose_seed(const MachineFacts& facts, const MachineWishes& wishes, RunnableMachine& machine) {
    machine.seed = wishes.seed ? wishes.seed : facts.seed;
    if (!machine.seed)
        return;
    const auto looks_for = [&](std::string_view source) {
        return facts.guest &&
               std::any_of(facts.guest->cloud_init.datasources.begin(), facts.guest->cloud_init.datasources.end(),
                           [&](const std::string& name) { return name == source; });
    };
    const bool only_drive = looks_for("ConfigDrive") && !looks_for("NoCloud");
    machine.seed->form =
        wishes.seed_form.value_or(only_drive || is_windows(facts) ? SeedForm::config_drive : SeedForm::no_cloud);
    if (machine.seed->form == SeedForm::config_drive && machine.seed->network_data &&
        !is_openstack_network_data(*machine.seed->network_data))
        fail(ErrorKind::usage, "a config drive carries its network as OpenStack's JSON (links, networks, services), "
                               "and this is cloud-init's own form");
    if (facts.guest && facts.guest->os.type == "linux" && !facts.guest->cloud_init.installed)
        machine.remarks.push_back("the guest has no cloud-init: nothing in it reads the data of the Secret");
    else if (facts.guest && facts.guest->cloud_init.disabled)
        machine.remarks.push_back("cloud-init is switched off in the guest: nothing reads the data of the Secret");
}

void choose_kernel(const MachineFacts& facts, RunnableMachine& machine) {
    if (!facts.bundle)
        return;
    RunnableKernel kernel;
    kernel.kernel = "/" + facts.bundle->kernel;
    if (facts.bundle->initramfs)
        kernel.initramfs = "/" + *facts.bundle->initramfs;
    kernel.command_line = facts.bundle->command_line;
    kernel.read_only_root = facts.bundle->root_format == BundleRootFormat::erofs;
    machine.reasons.kernel = "As the bundle has it.";
    machine.kernel = std::move(kernel);
}

void name_disks(const MachineFacts& facts, RunnableMachine& machine) {
    machine.disks = facts.disks;
    for (std::size_t i = 0; i < machine.disks.size(); ++i)
        machine.disks[i].name = i == 0 ? "rootdisk" : fmt::format("disk{}", i + 1);
}

// KubeVirt counts the processors that these preferences ask for by sockets alone (preference/requirements/cpu.go): as
// many as needed of what the machine has stand in sockets of their own.
void spread_over_sockets(RunnableMachine& machine) {
    const unsigned wanted = needs_of_preference(machine.preference).processors;
    const unsigned processors = machine.sockets * machine.cores;
    if (!machine.instance_type.empty() || machine.sockets >= wanted || processors < wanted)
        return;
    machine.sockets = wanted;
    while (processors % machine.sockets != 0)
        ++machine.sockets;
    machine.cores = processors / machine.sockets;
    machine.reasons.sizes += fmt::format("{}The preference {} counts processors by sockets.",
                                         machine.reasons.sizes.empty() ? "" : " ", machine.preference);
}

// KubeVirt refuses a machine that is smaller than its preference asks for: one whose size nobody said grows to that,
// and any other gets a preference that asks for less.
void choose_preference(const MachineFacts& facts, const MachineWishes& wishes, RunnableMachine& machine) {
    machine.preference = wishes.preference == "auto" ? preference_for(machine) : wishes.preference;
    if (machine.preference.empty())
        return;
    machine.reasons.preference = "Of common-instancetypes, for this guest; what stands below wins over it.";
    if (wishes.preference != "auto" || (!wishes.instance_type.empty() && wishes.instance_type != "auto"))
        return spread_over_sockets(machine);
    const PreferenceNeeds needs = needs_of_preference(machine.preference);
    const bool memory_is_free = !wishes.memory && !(facts.hardware && facts.hardware->memory);
    if (memory_is_free && machine.memory < needs.memory) {
        machine.memory = needs.memory;
        machine.reasons.sizes = fmt::format("The preference {} asks for this much memory.", machine.preference);
    }
    const unsigned processors = machine.sockets * machine.cores;
    if (processors < needs.processors || machine.memory < needs.memory) {
        const std::string wanted = std::exchange(machine.preference, modest_preference_for(machine));
        machine.remarks.push_back(
            fmt::format("the preference {} asks for {} processors and {} of memory at least, and this machine has "
                        "less: {} instead",
                        wanted, needs.processors, quantity(needs.memory), machine.preference));
    }
    if (wishes.instance_type == "auto")
        machine.instance_type = instance_type_for(processors, machine.memory);
    spread_over_sockets(machine);
}

void describe_guest(const MachineFacts& facts, RunnableMachine& machine) {
    if (facts.hardware && is_unrecognised(facts) && is_windows(facts)) {
        machine.guest.type = "windows";
        machine.guest.product = fmt::format("Windows ({})", escape_untrusted(facts.hardware->os_type));
        machine.remarks.push_back("its guest was not recognised: that it is Windows is what its description says");
        return;
    }
    if (!facts.guest || facts.guest->os.product.empty()) {
        if (is_unrecognised(facts))
            machine.remarks.push_back(facts.hardware
                                          ? "its guest was not recognised: firmware, disk bus and network card follow "
                                            "its description, or are what most machines take"
                                          : "its guest was not recognised: firmware, disk bus and network card are "
                                            "what most machines take");
        return;
    }
    const OsInfo& os = facts.guest->os;
    machine.guest = {os.type, os.distribution, os.version, escape_untrusted(os.product)};
    if (os.type == "linux" && !facts.bundle && facts.guest->boot.serial_consoles.empty() &&
        !facts.guest->boot.command_lines.empty())
        machine.remarks.push_back("its kernel says nothing on the serial console: a console there stays empty (the "
                                  "fix console changes that)");
}

} // namespace

RunnableMachine make_runnable(const MachineFacts& facts, const MachineWishes& wishes) {
    RunnableMachine machine;
    machine.form = facts.form;
    const std::string& described = facts.hardware ? facts.hardware->name : std::string();
    machine.name = dns_label(!wishes.name.empty() ? wishes.name : !described.empty() ? described : facts.name, "vm");
    machine.namespace_ = wishes.namespace_;
    machine.pull_secret = wishes.pull_secret;
    machine.architecture = !facts.architecture.empty() ? facts.architecture
                           : facts.guest               ? facts.guest->os.architecture
                                                       : std::string();
    if (machine.architecture.empty())
        machine.architecture = "amd64";
    machine.image = facts.image;
    machine.names_program = facts.names_program;
    machine.reasons.image = facts.image_reason;
    name_disks(facts, machine);
    describe_guest(facts, machine);
    choose_kernel(facts, machine);
    choose_sizes(facts, wishes, machine);
    choose_firmware(facts, wishes, machine);
    choose_devices(facts, wishes, machine);
    choose_nics(facts, wishes, machine);
    choose_seed(facts, wishes, machine);
    choose_preference(facts, wishes, machine);
    return machine;
}

} // namespace vm2oci
