#include "runner/qemu/arguments.hpp"

#include "formats/base/error.hpp"
#include "runner/agent/own_session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

namespace vm2oci {
namespace {

// x86-64-v2 without what makes emulation slow: with `max` a guest turns on protection keys, SMAP and wide vectors, and
// each costs the emulator time.
constexpr std::string_view kEmulatedCpu = "qemu64,+cx16,+lahf_lm,+popcnt,+sse4.1,+sse4.2,+ssse3,+rdrand";

// What the third level adds (psABI supplement, "Micro-Architecture Levels").
constexpr std::string_view kThirdLevel = ",+avx,+avx2,+bmi1,+bmi2,+f16c,+fma,+abm,+movbe,+xsave";

constexpr std::size_t kIdeChannels = 2; // each takes two drives
constexpr std::uint64_t kSectorSize = 512;

class Arguments {
  public:
    explicit Arguments(std::string binary) { list_.push_back(std::move(binary)); }

    Arguments& flag(std::string name) {
        list_.push_back(std::move(name));
        return *this;
    }
    Arguments& option(std::string name, std::string value) {
        list_.push_back(std::move(name));
        list_.push_back(std::move(value));
        return *this;
    }
    std::vector<std::string> take() { return std::move(list_); }

  private:
    std::vector<std::string> list_;
};

bool is_microvm(const VmSpec& spec) {
    return spec.profile.machine == MachineType::microvm;
}

// A virtio device on the bus that the machine has.
std::string virtio(const VmSpec& spec, std::string_view device) {
    return fmt::format("{}-{}", device, is_microvm(spec) ? "device" : "pci");
}

std::string machine_option(const VmSpec& spec) {
    if (is_microvm(spec))
        return "microvm,acpi=on,rtc=on,isa-serial=on";
    // graphics=off makes SeaBIOS, and with it GRUB's text console, speak on the serial port too.
    std::string machine = spec.profile.machine == MachineType::q35 ? "q35,graphics=off" : "pc,graphics=off";
    machine += spec.firmware == Firmware::uefi_secure ? ",smm=on" : ",smm=off";
    if (spec.firmware != Firmware::bios)
        machine += ",pflash0=firmware-code,pflash1=firmware-variables";
    return machine;
}

void add_firmware(Arguments& arguments, const VmSpec& spec, const QemuInstallation& installation,
                  const QemuDescriptors& descriptors) {
    if (spec.firmware == Firmware::bios)
        return;
    arguments.option("-add-fd", fmt::format("fd={},set=1", descriptors.firmware_variables));
    arguments.option("-blockdev",
                     "driver=file,node-name=firmware-code,read-only=on,filename=" + installation.firmware_code);
    arguments.option("-blockdev", "driver=file,node-name=firmware-variables,filename=/dev/fdset/1");
    if (spec.firmware == Firmware::uefi_secure)
        arguments.option("-global", "driver=cfi.pflash01,property=secure,value=on");
}

// q35 has an AHCI controller built in, i440fx an IDE one; both call their first bus ide.0.
bool has_added_ahci(const VmSpec& spec) {
    return spec.profile.machine == MachineType::i440fx && spec.profile.disk == DiskBus::sata;
}

std::string drive_place(const VmSpec& spec, std::size_t port) {
    if (has_added_ahci(spec))
        return fmt::format("bus=ahci.{}", port);
    if (spec.profile.machine == MachineType::i440fx && port >= kIdeChannels)
        return fmt::format("bus=ide.{},unit=1", port - kIdeChannels);
    return fmt::format("bus=ide.{}", port);
}

enum class FirmwareAccess { none, in_turn };

// `port`: 0 is the first that the firmware asks. OVMF connects only the disks that it may be asked to boot from, and a
// boot loader that reads a volume over several sees no others.
std::string disk_device(const VmSpec& spec, std::string_view node, std::size_t port, std::uint64_t sector_size,
                        FirmwareAccess access = FirmwareAccess::in_turn) {
    const MachineProfile& profile = spec.profile;
    const std::string boot = access == FirmwareAccess::in_turn ? fmt::format(",bootindex={}", port + 1) : "";
    if (profile.disk == DiskBus::virtio) {
        const std::string sectors =
            sector_size != 512 ? fmt::format(",logical_block_size={0},physical_block_size={0}", sector_size) : "";
        return fmt::format("{},drive={}{}{}", virtio(spec, "virtio-blk"), node, boot, sectors);
    }
    return fmt::format("ide-hd,drive={},{}{}", node, drive_place(spec, port), boot);
}

void check_disk_count(const VmSpec& spec) {
    const std::size_t count = 1 + spec.further_disks.size() + (spec.seed ? 1 : 0);
    const std::size_t most = max_disks(spec.profile.disk);
    if (count > most)
        fail(ErrorKind::unsupported,
             fmt::format("the machine would have {} disks, the seed among them, and its {} controller takes {}", count,
                         to_string(spec.profile.disk), most));
}

void add_disks(Arguments& arguments, const VmSpec& spec, const QemuDescriptors& descriptors) {
    check_disk_count(spec);
    if (has_added_ahci(spec))
        arguments.option("-device", "ich9-ahci,id=ahci");
    arguments.option("-blockdev",
                     fmt::format("driver=nbd,node-name=disk,server.type=fd,server.str={}", descriptors.disk));
    arguments.option("-device", disk_device(spec, "disk", 0, spec.sector_size));
    std::size_t port = 1;
    for (const FurtherDisk& disk : spec.further_disks) {
        const std::string node = fmt::format("disk{}", port + 1);
        arguments.option("-blockdev", fmt::format("driver=nbd,node-name={},server.type=fd,server.str={}{}", node,
                                                  descriptors.first_further_disk + static_cast<int>(port) - 1,
                                                  disk.changes ? ",discard=unmap" : ""));
        const std::string serial = disk.serial.empty() ? "" : ",serial=" + disk.serial;
        arguments.option("-device", disk_device(spec, node, port, disk.sector_size) + serial);
        ++port;
    }
    if (!spec.seed)
        return;
    arguments.option("-blockdev", fmt::format("driver=nbd,node-name=seed,read-only=on,server.type=fd,server.str={}",
                                              descriptors.seed));
    if (spec.profile.disk == DiskBus::virtio)
        arguments.option("-device", disk_device(spec, "seed", port, kSectorSize, FirmwareAccess::none));
    else // beside an AHCI controller that was added, the machine's own IDE controller is free
        arguments.option("-device",
                         "ide-cd,drive=seed," + (has_added_ahci(spec) ? "bus=ide.1" : drive_place(spec, port)));
}

void add_network(Arguments& arguments, const VmSpec& spec) {
    if (spec.network == NetworkMode::none)
        return;
    std::string network = "user,id=network";
    for (const PortForward& forward : spec.forwards)
        network += fmt::format(",hostfwd=tcp:127.0.0.1:{}-:{}", forward.host, forward.guest);
    arguments.option("-netdev", network);
    if (is_microvm(spec)) {
        arguments.option("-device", "virtio-net-device,netdev=network");
        return;
    }
    const std::string model =
        spec.profile.network == NetworkModel::virtio ? "virtio-net-pci" : std::string(to_string(spec.profile.network));
    // Without an option ROM the firmware does not try to boot from the network.
    arguments.option("-device", model + ",netdev=network,romfile=");
}

void add_channels(Arguments& arguments, const VmSpec& spec, const QemuDescriptors& descriptors) {
    const auto socket = [](std::string_view id, int fd) { return fmt::format("socket,id={},fd={}", id, fd); };
    arguments.option("-chardev", socket("monitor", descriptors.monitor)).option("-mon", "chardev=monitor,mode=control");
    // Standard input and output: what the guest prints goes through a pipe, which holds much more than a socket, where
    // each byte takes the room of a whole message. A kernel does not wait long for a port that is not emptied.
    arguments.option("-chardev", "stdio,id=serial,signal=off");
    if (is_microvm(spec))
        arguments.option("-serial", "chardev:serial");
    else
        arguments.option("-device", "isa-serial,chardev=serial");
    arguments.option("-device", virtio(spec, "virtio-serial")).option("-chardev", socket("agent", descriptors.agent));
    // Without an id QEMU tells nobody when the guest opens the port.
    arguments.option("-device", "virtserialport,chardev=agent,id=agent,name=org.qemu.guest_agent.0");
    arguments.option("-chardev", socket("own-agent", descriptors.own_agent));
    arguments.option("-device", fmt::format("virtserialport,chardev=own-agent,id=own-agent,name={}", kOwnAgentPort));
}

// x86 kernels panic if the timer does not tick within 10 ms of theirs, which an emulator on a busy host may not manage;
// those that know KVM leave the check out under it. In front, so that it stands before a "--".
std::string command_line_for(const DirectKernel& kernel, Accelerator accelerator) {
    constexpr std::size_t kLongestLine = 2047; // COMMAND_LINE_SIZE of x86; what is beyond would be cut off
    const std::string with_word = "no_timer_check " + kernel.command_line;
    return accelerator == Accelerator::tcg && with_word.size() <= kLongestLine ? with_word : kernel.command_line;
}

// QEMU opens kernels by name only; a descriptor has one.
void add_kernel(Arguments& arguments, const VmSpec& spec, Accelerator accelerator, const QemuDescriptors& descriptors) {
    if (!spec.kernel)
        return;
    arguments.option("-kernel", fmt::format("/proc/self/fd/{}", descriptors.kernel));
    if (spec.kernel->initramfs)
        arguments.option("-initrd", fmt::format("/proc/self/fd/{}", descriptors.initramfs));
    arguments.option("-append", command_line_for(*spec.kernel, accelerator));
}

// A credential for the guest's systemd, which finds it in the firmware's tables.
void add_notify(Arguments& arguments, const VmSpec& spec, const VsockAddress& address, int vhost_fd) {
    arguments.option(
        "-device", fmt::format("{},guest-cid={},vhostfd={}", virtio(spec, "vhost-vsock"), address.guest_cid, vhost_fd));
    arguments.option(
        "-smbios", fmt::format("type=11,value=io.systemd.credential:vmm.notify_socket=vsock:2:{}", address.host_port));
}

} // namespace

std::vector<std::string> qemu_arguments(const VmSpec& spec, Accelerator accelerator,
                                        const QemuInstallation& installation, const QemuDescriptors& descriptors,
                                        const std::optional<VsockAddress>& vsock) {
    Arguments arguments(installation.binary);
    arguments.flag("-nodefaults").flag("-no-user-config").option("-display", "none").flag("-S");
    arguments.option("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add_firmware(arguments, spec, installation, descriptors);
    arguments.option("-machine", machine_option(spec));
    arguments.option("-accel", accelerator == Accelerator::kvm ? "kvm" : "tcg,thread=multi");
    std::string default_cpu = accelerator == Accelerator::kvm ? "host" : std::string(kEmulatedCpu);
    if (accelerator == Accelerator::tcg && spec.profile.cpu_level == CpuLevel::v3)
        default_cpu += kThirdLevel;
    arguments.option("-cpu", spec.profile.cpu.empty() ? default_cpu : spec.profile.cpu);
    arguments.option("-smp", std::to_string(spec.cpus));
    arguments.option("-m", fmt::format("{}M", spec.memory / MiB));
    // The kernel's panic goes on printing; the monitor hears of it.
    arguments.option("-action", "panic=none");
    if (!is_microvm(spec))
        arguments.option("-device", "VGA").option("-device", "pvpanic");
    arguments.option("-device", virtio(spec, "virtio-rng"));
    add_channels(arguments, spec, descriptors);
    add_disks(arguments, spec, descriptors);
    add_network(arguments, spec);
    if (vsock)
        add_notify(arguments, spec, *vsock, descriptors.vhost);
    add_kernel(arguments, spec, accelerator, descriptors);
    return arguments.take();
}

std::vector<FirmwareFiles> firmware_candidates(Firmware firmware) {
    if (firmware == Firmware::bios)
        return {};
    if (firmware == Firmware::uefi_secure)
        return {{"/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},
                {"/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.ms.fd"},
                {"/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"}};
    return {{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
            {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
            {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
            {"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
            {"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"}};
}

std::optional<FirmwareFiles> find_firmware(Firmware firmware) {
    const std::vector<FirmwareFiles> candidates = firmware_candidates(firmware);
    if (candidates.empty())
        return FirmwareFiles{};
    for (const FirmwareFiles& files : candidates)
        if (::access(files.code.c_str(), R_OK) == 0 && ::access(files.variables.c_str(), R_OK) == 0)
            return files;
    return std::nullopt;
}

} // namespace vm2oci
