// write_manifests FOLDER: machines of the field, each for everybody who could run it, as FOLDER/MACHINE.TARGET.yaml
// (.xml, .json, .container). What a target refuses is left out. One line a machine says what it is.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/manifest/targets.hpp"
#include "tools/flows/runnable.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

using namespace vm2oci;

namespace {

namespace fs = std::filesystem;

enum class Drivers { virtio, ahci, ide, none };
enum class Loads { bios, uefi, both };

struct Machine {
    std::string name;
    MachineFacts facts;
    MachineWishes wishes{};
};

std::string image_of(std::string_view name, std::size_t disk) {
    return fmt::format("registry.example:5000/vms/{}@sha256:{:064x}", name, disk + 0xabc);
}

Machine bare(std::string name, std::size_t disks) {
    Machine machine{std::move(name), {}};
    machine.facts.form = RunnableForm::container_disk;
    machine.facts.name = machine.name;
    machine.facts.architecture = "amd64";
    for (std::size_t i = 0; i < disks; ++i) {
        RunnableDisk disk;
        disk.image = image_of(machine.name, i);
        disk.tagged = i == 0 ? "registry.example:5000/vms/" + machine.name + ":1" : "";
        disk.path = "/disk/disk.qcow2";
        disk.size = (10 + i) * GiB + 512;
        machine.facts.disks.push_back(disk);
    }
    return machine;
}

Machine linux_machine(std::string name, std::string distribution, std::string version, std::string kernel,
                      Drivers drivers, Loads loads, std::size_t disks = 1) {
    Machine machine = bare(std::move(name), disks);
    GuestInfo info;
    info.os = {};
    info.os.type = "linux";
    info.os.distribution = std::move(distribution);
    info.os.version = std::move(version);
    info.os.product = "Some \"Linux\": on # trial";
    info.os.architecture = "amd64";
    info.boot.bios = loads != Loads::uefi;
    info.boot.uefi = loads != Loads::bios;
    info.boot.command_lines = {"root=x"};
    info.cloud_init.installed = true;
    KernelInfo one;
    one.version = std::move(kernel);
    one.has_modules = true;
    const DriverPlace virtio = drivers == Drivers::virtio ? DriverPlace::initrd : DriverPlace::missing;
    one.drivers = {{"virtio_blk", virtio}, {"virtio_net", virtio}};
    one.boots_on_virtio = drivers == Drivers::virtio;
    if (drivers == Drivers::ahci)
        one.older_drivers = {{"ahci", DriverPlace::initrd}, {"e1000e", DriverPlace::disk}};
    if (drivers == Drivers::ide)
        one.older_drivers = {{"ata_piix", DriverPlace::initrd}, {"e1000", DriverPlace::disk}};
    info.kernels = {one};
    machine.facts.guest = info;
    machine.wishes.preference = "auto";
    return machine;
}

Machine windows_machine(std::string name, std::string product, Loads loads, std::vector<std::string> drivers = {}) {
    Machine machine = linux_machine(std::move(name), "windows", "", "", Drivers::none, loads);
    machine.facts.guest->os.type = "windows";
    machine.facts.guest->os.product = std::move(product);
    machine.facts.guest->kernels.clear();
    for (std::string& driver : drivers)
        machine.facts.guest->agents.push_back({std::move(driver), "/x", true});
    return machine;
}

MachineHardware hardware(unsigned cpus, unsigned cores, std::uint64_t memory, std::vector<MachineNic> nics) {
    MachineHardware had;
    had.source = "OVF";
    had.name = "Of VMware";
    had.cpus = cpus;
    had.cores_per_socket = cores;
    had.memory = memory;
    had.nics = std::move(nics);
    return had;
}

Machine bundle(std::string name, BundleRootFormat format, bool with_initramfs) {
    Machine machine = linux_machine(std::move(name), "debian", "12", "6.1.0-13-amd64", Drivers::virtio, Loads::bios);
    machine.facts.form = RunnableForm::bundle;
    machine.wishes.preference.clear();
    BundleDescription description;
    description.command_line = "root=/dev/vda console=ttyS0 quiet dyndbg=\"file x +p\"";
    description.root_format = format;
    description.root = format == BundleRootFormat::erofs ? bundle_path::root_erofs : bundle_path::root_qcow2;
    if (with_initramfs)
        description.initramfs = bundle_path::initramfs;
    machine.facts.disks[0].path = "/" + description.root;
    machine.facts.bundle = description;
    return machine;
}

std::string large_user_data() {
    std::string text = "#cloud-config\nbootcmd:\n";
    while (text.size() < 10 * KiB)
        text += fmt::format("  - [echo, \"line {}: \\u00e4 # not a comment\"]\n", text.size());
    return text;
}

std::vector<Machine> machines() {
    std::vector<Machine> all;
    const auto add = [&](Machine machine) -> Machine& { return all.emplace_back(std::move(machine)); };
    add(linux_machine("debian-bios", "debian", "12", "6.1.0-13-amd64", Drivers::virtio, Loads::bios));
    add(linux_machine("debian-uefi", "debian", "13", "6.12.1", Drivers::virtio, Loads::uefi));
    add(linux_machine("debian-1g", "debian", "12", "6.1.0", Drivers::virtio, Loads::both)).wishes.memory = GiB;
    add(linux_machine("ubuntu", "ubuntu", "22.04", "5.15.0-91-generic", Drivers::virtio, Loads::both));
    add(linux_machine("ubuntu-1g", "ubuntu", "22.04", "5.15.0", Drivers::virtio, Loads::both)).wishes.memory = GiB;
    add(linux_machine("rhel5", "rhel", "5.11", "2.6.18-398.el5", Drivers::ahci, Loads::bios));
    add(linux_machine("rhel4-ide", "rhel", "4.9", "2.6.9-89.EL", Drivers::ide, Loads::bios));
    add(linux_machine("rhel6", "rhel", "6.10", "2.6.32-754.el6", Drivers::virtio, Loads::bios));
    add(linux_machine("centos6-vmware", "centos", "6.10", "2.6.32-754.el6", Drivers::ahci, Loads::bios));
    add(linux_machine("rhel7", "rhel", "7.9", "3.10.0-1160.el7.x86_64", Drivers::virtio, Loads::bios));
    add(linux_machine("rhel8", "rhel", "8.9", "4.18.0-513.el8", Drivers::virtio, Loads::both));
    add(linux_machine("rhel9-bios", "rhel", "9.4", "5.14.0-427.el9", Drivers::virtio, Loads::bios));
    Machine& secure = add(linux_machine("rhel9-secure", "rhel", "9.4", "5.14.0-427.el9", Drivers::virtio, Loads::uefi));
    secure.facts.hardware = hardware(4, 2, 8 * GiB, {{"VmxNet3", "VM Network", "00:50:56:01:02:03"}});
    secure.facts.hardware->firmware = MachineFirmware::uefi;
    secure.facts.hardware->secure_boot = true;
    add(linux_machine("rhel10", "rhel", "10.0", "6.12.0-55.el10", Drivers::virtio, Loads::uefi));
    add(linux_machine("stream9", "centos", "9", "5.14.0", Drivers::virtio, Loads::both));
    add(linux_machine("fedora-bios", "fedora", "42", "6.14.0", Drivers::virtio, Loads::bios));
    add(linux_machine("oracle9", "ol", "9.3", "5.15.0", Drivers::virtio, Loads::uefi));
    add(linux_machine("oracle9-small", "ol", "9.3", "5.15.0", Drivers::virtio, Loads::uefi)).wishes.cpus = 1;
    add(linux_machine("sles11", "sles", "11.4", "3.0.101-63-default", Drivers::virtio, Loads::bios));
    add(linux_machine("tumbleweed", "opensuse-tumbleweed", "20260101", "6.12.0", Drivers::virtio, Loads::both));
    add(linux_machine("alpine", "alpine", "3.20", "6.6.31", Drivers::virtio, Loads::uefi)).wishes.memory = 256 * MiB;
    add(linux_machine("gentoo", "gentoo", "", "6.1.0", Drivers::none, Loads::bios));
    add(windows_machine("winxp", "Microsoft Windows XP", Loads::bios));
    add(windows_machine("win2k8", "Windows Server 2008 R2 Enterprise", Loads::bios));
    add(windows_machine("win10", "Windows 10 Pro", Loads::uefi)).wishes.memory = GiB;
    add(windows_machine("win2k19", "Windows Server 2019", Loads::uefi, {"virtio-net driver", "virtio-blk driver"}));
    Machine& eleven = add(windows_machine("win11-secure", "Windows 11 Enterprise", Loads::uefi));
    eleven.wishes.firmware = StartFirmware::uefi_secure;
    for (const char* architecture : {"arm64", "s390x"})
        for (const char* distribution : {"fedora", "debian", "rhel"}) {
            Machine& other = add(linux_machine(fmt::format("{}-{}", distribution, architecture), distribution, "9.4",
                                               "6.10.0", Drivers::virtio, Loads::uefi));
            other.facts.architecture = architecture;
        }
    Machine& three = add(linux_machine("three-disks", "debian", "12", "6.1.0", Drivers::virtio, Loads::both, 3));
    three.facts.hardware =
        hardware(6, 3, 3 * GiB, {{"E1000", "DMZ", "00:50:56:01:02:03"}, {"E1000", "Back\nup", "00:50:56:01:02:04"}});
    three.wishes.networks = {"pod", "lab/vlan7"};
    three.wishes.namespace_ = "lab";
    three.wishes.pull_secret = "login";
    Machine& sectors = add(linux_machine("sectors-4k", "debian", "12", "6.1.0", Drivers::virtio, Loads::uefi));
    sectors.facts.disks[0].sector_size = 4096;
    Machine& typed = add(linux_machine("typed", "ubuntu", "24.04", "6.8.0", Drivers::virtio, Loads::both));
    typed.wishes.instance_type = "auto";
    Machine& oracle_typed = add(linux_machine("oracle-typed", "ol", "9", "5.15.0", Drivers::virtio, Loads::uefi));
    oracle_typed.wishes.instance_type = "auto";
    Machine& windows_typed = add(windows_machine("win2k22-typed", "Windows Server 2022", Loads::uefi));
    windows_typed.wishes.instance_type = "auto";
    Machine& seeded = add(linux_machine("seeded-10k", "debian", "12", "6.1.0", Drivers::virtio, Loads::both));
    seeded.wishes.seed = RunnableSeed{large_user_data(), "version: 2\nethernets: {}\n"};
    Machine& drive = add(linux_machine("config-drive", "debian", "12", "6.1.0", Drivers::virtio, Loads::both));
    drive.wishes.seed = RunnableSeed{"#!/bin/sh\n", R"({"links": [], "networks": [], "services": []})"};
    drive.wishes.seed_form = SeedForm::config_drive;
    Machine& binary = add(linux_machine("seeded-binary", "debian", "12", "6.1.0", Drivers::virtio, Loads::both));
    binary.wishes.seed = RunnableSeed{std::string("\x1f\x8b\x00\xff zipped", 11), std::nullopt};
    add(bundle("bundle", BundleRootFormat::qcow2, true)).wishes.pull_secret = "login";
    add(bundle("bundle-erofs", BundleRootFormat::erofs, false));
    Machine& nobody = add(bare("unknown", 1));
    nobody.facts.hardware = hardware(1, 1, 64 * MiB, {});
    Machine& long_name = add(bare("long", 2));
    long_name.wishes.name = std::string(80, 'x') + ".Example_1";
    return all;
}

// The document, or nothing where the target runs no such machine.
std::string text_for(const ManifestTarget& target, const RunnableMachine& machine) {
    try {
        return target.write(machine);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::unsupported)
            throw;
        return "";
    }
}

std::string_view ending_of(const ManifestTarget& target) {
    const std::string_view name = target.name;
    return name == "libvirt"                                     ? "xml"
           : name == "firecracker" || name == "cloud-hypervisor" ? "json"
           : name == "quadlet"                                   ? "container"
                                                                 : "yaml";
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2)
        return EXIT_FAILURE;
    try {
        for (const Machine& machine : machines()) {
            const RunnableMachine runnable = make_runnable(machine.facts, machine.wishes);
            std::cout << fmt::format("{} {} {} {} {} {}\n", machine.name, to_string(runnable.firmware),
                                     to_string(runnable.attachment), runnable.disks.size(), quantity(runnable.memory),
                                     runnable.preference.empty() ? "-" : runnable.preference);
            for (const ManifestTarget& target : manifest_targets())
                if (const std::string text = text_for(target, runnable); !text.empty())
                    std::ofstream(fs::path(argv[1]) /
                                  fmt::format("{}.{}.{}", machine.name, target.name, ending_of(target)))
                        << text;
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
