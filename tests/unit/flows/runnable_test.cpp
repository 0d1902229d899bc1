#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "tools/flows/runnable.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;

namespace {

enum class Drivers { virtio, ahci, ahci_e1000, none, unknown };
enum class Loads { bios, uefi, both, nothing };

MachineFacts guest(std::string distribution, std::string version, std::string kernel, Drivers drivers, Loads loads) {
    MachineFacts facts;
    facts.form = RunnableForm::container_disk;
    facts.name = "m";
    facts.architecture = "amd64";
    facts.disks.resize(1);
    GuestInfo info;
    info.os.type = "linux";
    info.os.distribution = std::move(distribution);
    info.os.version = std::move(version);
    info.os.product = "Some Linux";
    info.boot.bios = loads == Loads::bios || loads == Loads::both;
    info.boot.uefi = loads == Loads::uefi || loads == Loads::both;
    info.boot.command_lines = {"root=x console=ttyS0"};
    info.boot.serial_consoles = {"ttyS0"};
    if (drivers != Drivers::unknown) {
        KernelInfo one;
        one.version = std::move(kernel);
        one.has_modules = true;
        const DriverPlace virtio = drivers == Drivers::virtio ? DriverPlace::initrd : DriverPlace::missing;
        one.drivers = {{"virtio_blk", virtio}, {"virtio_net", virtio}};
        one.boots_on_virtio = drivers == Drivers::virtio;
        if (drivers == Drivers::ahci || drivers == Drivers::ahci_e1000)
            one.older_drivers = {{"ahci", DriverPlace::initrd},
                                 {"e1000", DriverPlace::disk},
                                 {"e1000e", drivers == Drivers::ahci ? DriverPlace::disk : DriverPlace::missing}};
        info.kernels = {one};
    }
    facts.guest = info;
    return facts;
}

MachineFacts windows(std::string product, Loads loads, std::vector<std::string> agents = {}) {
    MachineFacts facts = guest("windows", "", "", Drivers::unknown, loads);
    facts.guest->os.type = "windows";
    facts.guest->os.product = std::move(product);
    for (std::string& agent : agents)
        facts.guest->agents.push_back({std::move(agent), "/x", true});
    return facts;
}

bool tells(const RunnableMachine& machine, std::string_view part) {
    return std::any_of(machine.remarks.begin(), machine.remarks.end(),
                       [&](const std::string& remark) { return remark.find(part) != std::string::npos; });
}

struct Row {
    const char* what;
    MachineFacts facts;
    StartFirmware firmware;
    DiskAttachment bus;
    NicModel nic;
    bool transitional;
    const char* preference;
};

} // namespace

TEST_CASE("the machines of the field get the hardware that they find") {
    using F = StartFirmware;
    using B = DiskAttachment;
    using N = NicModel;
    const Row rows[] = {
        {"RHEL 5, VMware", guest("rhel", "5.11", "2.6.18-398.el5", Drivers::ahci_e1000, Loads::bios), F::bios, B::sata,
         N::e1000, false, "legacy"},
        {"RHEL 6 with virtio", guest("rhel", "6.10", "2.6.32-754.el6", Drivers::virtio, Loads::bios), F::bios,
         B::virtio, N::virtio, true, "linux.virtiotransitional"},
        {"RHEL 6, VMware", guest("rhel", "6.10", "2.6.32-754.el6", Drivers::ahci, Loads::bios), F::bios, B::sata,
         N::e1000e, false, "legacy"},
        {"CentOS 7", guest("centos", "7", "3.10.0-1160.71.1.el7.x86_64", Drivers::virtio, Loads::bios), F::bios,
         B::virtio, N::virtio, false, "linux"},
        {"CentOS 7.1", guest("centos", "7", "3.10.0-229.el7.x86_64", Drivers::virtio, Loads::bios), F::bios, B::virtio,
         N::virtio, true, "linux.virtiotransitional"},
        {"RHEL 7.9", guest("rhel", "7.9", "3.10.0-1160.el7.x86_64", Drivers::virtio, Loads::bios), F::bios, B::virtio,
         N::virtio, false, "rhel.7"},
        {"RHEL 8", guest("rhel", "8.9", "4.18.0-513.el8", Drivers::virtio, Loads::both), F::bios, B::virtio, N::virtio,
         false, "rhel.8"},
        {"RHEL 8, VMware host-only initrd", guest("rhel", "8.9", "4.18.0-513.el8", Drivers::ahci, Loads::bios), F::bios,
         B::sata, N::e1000e, false, "legacy"},
        {"RHEL 9, UEFI", guest("rhel", "9.4", "5.14.0-427.el9", Drivers::virtio, Loads::uefi), F::uefi, B::virtio,
         N::virtio, false, "rhel.9"},
        {"RHEL 10", guest("rhel", "10.0", "6.12.0-55.el10", Drivers::virtio, Loads::both), F::bios, B::virtio,
         N::virtio, false, "rhel.10"},
        {"SLES 11", guest("sles", "11.4", "3.0.101-63-default", Drivers::virtio, Loads::bios), F::bios, B::virtio,
         N::virtio, true, "sles"},
        {"SLES 15", guest("sles", "15.5", "5.14.21-default", Drivers::virtio, Loads::uefi), F::uefi, B::virtio,
         N::virtio, false, "sles"},
        {"Ubuntu 14.04", guest("ubuntu", "14.04", "3.13.0-170-generic", Drivers::virtio, Loads::bios), F::bios,
         B::virtio, N::virtio, true, "ubuntu"},
        {"Ubuntu 22.04", guest("ubuntu", "22.04", "5.15.0-91-generic", Drivers::virtio, Loads::both), F::bios,
         B::virtio, N::virtio, false, "ubuntu"},
        {"Debian 12, BIOS alone", guest("debian", "12", "6.1.0-13-amd64", Drivers::virtio, Loads::bios), F::bios,
         B::virtio, N::virtio, false, "debian"},
        {"Debian, UEFI alone", guest("debian", "13", "6.12.1", Drivers::virtio, Loads::uefi), F::uefi, B::virtio,
         N::virtio, false, "debian"},
        {"Fedora", guest("fedora", "42", "6.14.0", Drivers::virtio, Loads::both), F::bios, B::virtio, N::virtio, false,
         "fedora"},
        {"Alpine", guest("alpine", "3.20", "6.6.31-0-virt", Drivers::virtio, Loads::uefi), F::uefi, B::virtio,
         N::virtio, false, "alpine"},
        {"Gentoo, old network card", guest("gentoo", "", "6.1.0", Drivers::none, Loads::bios), F::bios, B::virtio,
         N::rtl8139, false, "linux"},
        {"a kernel that was not read", guest("rocky", "9", "", Drivers::unknown, Loads::uefi), F::uefi, B::virtio,
         N::virtio, false, "linux.efi"},
        {"Windows XP", windows("Microsoft Windows XP", Loads::bios), F::bios, B::sata, N::e1000, false, "windows.xp"},
        {"Windows 2008 R2", windows("Windows Server 2008 R2", Loads::bios), F::bios, B::sata, N::e1000e, false,
         "windows.2k8"},
        {"Windows 2019 with virtio's network",
         windows("Windows Server 2019", Loads::uefi, {"virtio-net driver", "virtio-blk driver"}), F::uefi, B::sata,
         N::virtio, false, "windows.2k19"},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        MachineWishes wishes;
        wishes.preference = "auto";
        const RunnableMachine machine = make_runnable(row.facts, wishes);
        CHECK(machine.firmware == row.firmware);
        CHECK(machine.attachment == row.bus);
        REQUIRE(machine.nics.size() == 1);
        CHECK(machine.nics.front().model == row.nic);
        CHECK(machine.transitional_virtio == row.transitional);
        CHECK(machine.preference == row.preference);
    }
}

TEST_CASE("machines of arm64 start by UEFI on virtio, whatever is known of them") {
    MachineFacts facts = guest("rhel", "9.4", "5.14.0", Drivers::ahci, Loads::bios);
    facts.architecture = "arm64";
    const RunnableMachine machine = make_runnable(facts, {});
    CHECK(machine.firmware == StartFirmware::uefi);
    CHECK(machine.attachment == DiskAttachment::virtio);
    CHECK(machine.nics.front().model == NicModel::virtio);
}

TEST_CASE("the hardware that a machine had is kept") {
    MachineFacts facts = guest("debian", "12", "6.1.0", Drivers::virtio, Loads::both);
    MachineHardware hardware;
    hardware.source = "OVF";
    hardware.name = "Web Server 01";
    hardware.cpus = 6;
    hardware.cores_per_socket = 3;
    hardware.memory = 6 * GiB;
    hardware.firmware = MachineFirmware::uefi;
    hardware.secure_boot = true;
    hardware.nics = {{"VmxNet3", "VM Network", "00:50:56:01:02:03"}, {"VmxNet3", "Backup", "00:50:56:01:02:04"}};
    facts.hardware = hardware;
    const RunnableMachine machine = make_runnable(facts, {});
    CHECK(machine.name == "web-server-01");
    CHECK(machine.sockets == 2);
    CHECK(machine.cores == 3);
    CHECK(machine.memory == 6 * GiB);
    CHECK(machine.firmware == StartFirmware::uefi_secure);
    REQUIRE(machine.nics.size() == 1);
    CHECK(machine.nics.front().mac == "00:50:56:01:02:03");
    CHECK(tells(machine, "'Backup' with MAC 00:50:56:01:02:04 is left out"));

    MachineWishes wishes;
    wishes.networks = {"lab/front", "lab/backup"};
    wishes.name = "other";
    wishes.cpus = 4;
    wishes.firmware = StartFirmware::bios;
    const RunnableMachine wished = make_runnable(facts, wishes);
    REQUIRE(wished.nics.size() == 2);
    CHECK(wished.nics[0].network == "lab/front");
    CHECK(wished.nics[1].mac == "00:50:56:01:02:04");
    CHECK(wished.name == "other");
    CHECK(wished.sockets * wished.cores == 4);
    CHECK(wished.firmware == StartFirmware::bios);
    CHECK(wished.remarks.empty());
}

TEST_CASE("a description that contradicts its disk is told, and the disk decides") {
    MachineFacts facts = guest("debian", "12", "6.1.0", Drivers::virtio, Loads::bios);
    facts.hardware.emplace().firmware = MachineFirmware::uefi;
    const RunnableMachine bios = make_runnable(facts, {});
    CHECK(bios.firmware == StartFirmware::bios);
    CHECK(tells(bios, "starts by BIOS alone"));
    facts = guest("debian", "12", "6.1.0", Drivers::virtio, Loads::uefi);
    facts.hardware.emplace().firmware = MachineFirmware::bios;
    CHECK(make_runnable(facts, {}).firmware == StartFirmware::uefi);
}

TEST_CASE("odd descriptions make possible machines") {
    MachineFacts facts = guest("debian", "12", "6.1.0", Drivers::virtio, Loads::bios);
    MachineHardware& hardware = facts.hardware.emplace();
    hardware.cpus = 5;
    hardware.cores_per_socket = 4; // VMware lets it be
    hardware.memory = 4 * MiB;
    const RunnableMachine machine = make_runnable(facts, {});
    CHECK(machine.sockets == 5);
    CHECK(machine.cores == 1);
    CHECK(machine.memory == 256 * MiB);
    CHECK(machine.nics.empty());
    CHECK(tells(machine, "no network interface"));
}

TEST_CASE("an instance type is not given beside sizes") {
    MachineWishes wishes;
    wishes.instance_type = "u1.small";
    wishes.memory = GiB;
    const MachineFacts facts = guest("debian", "12", "6.1.0", Drivers::virtio, Loads::bios);
    CHECK_THROWS_AS(make_runnable(facts, wishes), Error);
    wishes.memory.reset();
    wishes.instance_type = "auto";
    CHECK(make_runnable(facts, wishes).instance_type == "u1.2xmedium");
}

TEST_CASE("a machine is never smaller than its preference asks for") {
    MachineFacts facts = guest("ol", "9.3", "5.15.0", Drivers::virtio, Loads::uefi);
    MachineWishes wishes;
    wishes.preference = "auto";
    const RunnableMachine grown = make_runnable(facts, wishes);
    CHECK(grown.preference == "oraclelinux");
    CHECK(grown.memory == 4 * GiB);
    CHECK(grown.remarks.empty());
    wishes.instance_type = "auto";
    CHECK(make_runnable(facts, wishes).instance_type == "u1.2xmedium");

    // Who said how large it is is obeyed, and the preference gives way.
    wishes = {};
    wishes.preference = "auto";
    wishes.memory = 3 * GiB;
    const RunnableMachine wished = make_runnable(facts, wishes);
    CHECK(wished.memory == 3 * GiB);
    CHECK(wished.preference == "linux.efi");
    CHECK(tells(wished, "oraclelinux asks for 2 processors and 4Gi"));
    wishes.memory.reset();
    wishes.cpus = 1;
    CHECK(make_runnable(facts, wishes).preference == "linux.efi");
    MachineHardware& hardware = facts.hardware.emplace();
    hardware.cpus = 2;
    hardware.memory = GiB;
    CHECK(make_runnable(facts, {}).preference.empty());
    wishes.cpus.reset();
    CHECK(make_runnable(facts, wishes).preference == "linux.efi");
    // A name that the user gave stays.
    wishes.preference = "oraclelinux";
    CHECK(make_runnable(facts, wishes).preference == "oraclelinux");
}

TEST_CASE("what a preference asks of processors stands in sockets, for KubeVirt counts those") {
    MachineFacts facts = guest("ol", "9.3", "5.15.0", Drivers::virtio, Loads::uefi);
    MachineWishes wishes;
    wishes.preference = GENERATE("auto", "oraclelinux", "windows.11.virtio");
    INFO(wishes.preference);
    MachineHardware& hardware = facts.hardware.emplace();
    hardware.memory = 8 * GiB;
    struct Row {
        unsigned processors;
        unsigned cores; // of a socket
        unsigned sockets;
    };
    const Row row = GENERATE(Row{2, 2, 2}, Row{4, 4, 2}, Row{4, 2, 2}, Row{6, 1, 6}, Row{3, 3, 3});
    hardware.cpus = row.processors;
    hardware.cores_per_socket = row.cores;
    const RunnableMachine machine = make_runnable(facts, wishes);
    CHECK(machine.sockets == row.sockets);
    CHECK(machine.sockets * machine.cores == row.processors);
    wishes.preference = "debian"; // asks for one
    CHECK(make_runnable(facts, wishes).cores == row.cores);
    wishes.preference.clear();
    CHECK(make_runnable(facts, wishes).cores == row.cores);
}

TEST_CASE("cloud-init's data go where the guest looks, and it is told who does not") {
    MachineFacts facts = guest("debian", "12", "6.1.0", Drivers::virtio, Loads::bios);
    MachineWishes wishes;
    wishes.seed = RunnableSeed{"#cloud-config\n", "version: 2\n"};
    CHECK(tells(make_runnable(facts, wishes), "no cloud-init"));
    facts.guest->cloud_init.installed = true;
    CHECK(make_runnable(facts, wishes).remarks.empty());
    CHECK(make_runnable(facts, wishes).seed->form == SeedForm::no_cloud);
    facts.guest->cloud_init.datasources = {"ConfigDrive", "OpenStack"};
    CHECK_THROWS_WITH(make_runnable(facts, wishes), Catch::Contains("OpenStack's JSON"));
    wishes.seed->network_data = R"({"links": [], "networks": [], "services": []})";
    CHECK(make_runnable(facts, wishes).seed->form == SeedForm::config_drive);
    facts.guest->cloud_init.datasources = {"NoCloud", "ConfigDrive"};
    CHECK(make_runnable(facts, wishes).seed->form == SeedForm::no_cloud);
    facts.guest->cloud_init.disabled = true;
    CHECK(tells(make_runnable(facts, wishes), "switched off"));
    // What the image carries is used where the user gives nothing.
    facts.seed = RunnableSeed{"#!/bin/sh\n", std::nullopt};
    CHECK(make_runnable(facts, {}).seed->user_data == "#!/bin/sh\n");
}

TEST_CASE("what is not known is said") {
    MachineFacts facts = guest("debian", "12", "6.1.0", Drivers::virtio, Loads::bios);
    facts.guest.reset();
    CHECK(tells(make_runnable(facts, {}), "not recognised"));
    facts = guest("debian", "12", "6.1.0", Drivers::virtio, Loads::bios);
    facts.guest->boot.serial_consoles.clear();
    CHECK(tells(make_runnable(facts, {}), "serial console"));
    facts = guest("rhel", "5.11", "2.6.18-398.el5", Drivers::none, Loads::bios);
    CHECK(tells(make_runnable(facts, {}), "IDE alone"));
}

TEST_CASE("of a guest that was not recognised the description tells the hardware") {
    struct Described {
        const char* type;
        ControllerKind controller;
        const char* card;
        DiskAttachment bus;
        NicModel nic;
        const char* preference;
        const char* said;
    };
    using B = DiskAttachment;
    using C = ControllerKind;
    using N = NicModel;
    const Described rows[] = {
        {"windows2019srv_64Guest", C::scsi, "VmxNet3", B::sata, N::e1000e, "windows.2k19", "is Windows"},
        {"winNetEnterpriseGuest", C::ide, "PCNet32", B::sata, N::e1000, "windows.2k3", "is Windows"},
        {"Microsoft Windows XP (32-bit)", C::ide, "PCNet32", B::sata, N::e1000, "windows.xp", "is Windows"},
        {"freebsd13_64Guest", C::ide, "E1000", B::sata, N::e1000, "legacy", "follow its description"},
        {"otherGuest", C::sata, "E1000e", B::sata, N::e1000e, "legacy", "follow its description"},
        {"darwin22_64Guest", C::sata, "rtl8139", B::sata, N::rtl8139, "legacy", "follow its description"},
        {"otherLinux64Guest", C::scsi, "VmxNet3", B::virtio, N::virtio, "linux", "follow its description"},
        {"", C::virtio, "virtio", B::virtio, N::virtio, "linux", "follow its description"},
    };
    for (const Described& row : rows) {
        INFO(row.type);
        MachineFacts facts;
        facts.form = RunnableForm::container_disk;
        facts.architecture = "amd64";
        facts.disks.resize(1);
        facts.hardware.emplace();
        facts.hardware->os_type = row.type;
        facts.hardware->controllers = {{C::floppy, ""}, {row.controller, ""}};
        facts.hardware->disks.resize(1);
        facts.hardware->disks.front().controller = 1;
        facts.hardware->nics = {{row.card, "", ""}};
        MachineWishes wishes;
        wishes.preference = "auto";
        const RunnableMachine machine = make_runnable(facts, wishes);
        CHECK(machine.attachment == row.bus);
        CHECK(machine.nics.front().model == row.nic);
        CHECK(machine.preference == row.preference);
        CHECK(tells(machine, row.said));
        CHECK(machine.reasons.attachment.empty() == (row.bus == B::virtio));
        wishes.attachment = B::virtio;
        CHECK(make_runnable(facts, wishes).attachment == B::virtio);
        facts.architecture = "arm64";
        CHECK(make_runnable(facts, {}).attachment == B::virtio);
    }
    MachineFacts read = guest("debian", "12", "6.1.0", Drivers::virtio, Loads::bios);
    read.hardware.emplace();
    read.hardware->os_type = "windows9_64Guest";
    read.hardware->controllers = {{C::ide, ""}};
    read.hardware->disks.resize(1);
    read.hardware->disks.front().controller = 0;
    CHECK(make_runnable(read, {}).attachment == B::virtio);
}

TEST_CASE("whether a kernel finds its disk is said where it does not, and where that is not known") {
    MachineFacts facts = guest("fedora", "40", "6.8.5", Drivers::none, Loads::bios);
    CHECK(tells(make_runnable(facts, {}), "finds no disk on virtio, SATA or IDE"));
    MachineWishes asked;
    asked.attachment = DiskAttachment::virtio;
    CHECK(!tells(make_runnable(facts, asked), "finds no disk"));
    facts.guest->kernels.front().boots_on_virtio.reset();
    const RunnableMachine unknown = make_runnable(facts, {});
    CHECK(unknown.attachment == DiskAttachment::virtio);
    CHECK(unknown.reasons.attachment.find("kernel 6.8.5 finds its disk on virtio is not known") != std::string::npos);
    CHECK(make_runnable(facts, asked).reasons.attachment.empty());
}

TEST_CASE("a bundle's kernel and root are the image's own") {
    MachineFacts facts = guest("debian", "12", "3.16.0", Drivers::ahci, Loads::bios);
    facts.form = RunnableForm::bundle;
    facts.bundle = BundleDescription{};
    facts.bundle->command_line = "root=/dev/vda";
    facts.bundle->root_format = BundleRootFormat::erofs;
    const RunnableMachine machine = make_runnable(facts, {});
    REQUIRE(machine.kernel);
    CHECK(machine.kernel->kernel == "/boot/vmlinuz");
    CHECK_FALSE(machine.kernel->initramfs);
    CHECK(machine.kernel->read_only_root);
    CHECK(machine.attachment == DiskAttachment::virtio);
    CHECK_FALSE(machine.transitional_virtio);
}
