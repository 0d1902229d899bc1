#include "tools/flows/machine_advice.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

GuestInfo guest(std::string version, std::vector<DriverInfo> older, DriverPlace virtio) {
    KernelInfo kernel;
    kernel.version = std::move(version);
    kernel.has_modules = true;
    kernel.initrd.emplace();
    kernel.drivers = {{"virtio_pci", virtio}, {"virtio_blk", virtio}, {"virtio_net", virtio}};
    kernel.boots_on_virtio = virtio == DriverPlace::builtin || virtio == DriverPlace::initrd;
    kernel.older_drivers = std::move(older);
    GuestInfo info;
    info.os.type = "linux";
    info.kernels.push_back(kernel);
    return info;
}

} // namespace

TEST_CASE("a guest with virtio gets the default machine") {
    const MachineAdvice advice = advise_machine(guest("6.1.0-13-amd64", {}, DriverPlace::initrd));
    CHECK(advice.profile.machine == MachineType::q35);
    CHECK(advice.profile.disk == DiskBus::virtio);
    CHECK(advice.profile.network == NetworkModel::virtio);
    CHECK(advice.profile.cpu_level == CpuLevel::v2);
    CHECK(advice.reasons.empty());
}

TEST_CASE("a guest without virtio gets the disk that it finds, and is told so") {
    const MachineAdvice sata = advise_machine(
        guest("4.18.0-477", {{"ahci", DriverPlace::initrd}, {"e1000", DriverPlace::disk}}, DriverPlace::missing));
    CHECK(sata.profile.machine == MachineType::q35);
    CHECK(sata.profile.disk == DiskBus::sata);
    CHECK(sata.profile.network == NetworkModel::e1000);
    REQUIRE(sata.reasons.size() == 2);
    CHECK(sata.reasons[0].topic == AdviceTopic::disk);
    CHECK(sata.reasons[0].text.find("4.18.0-477") != std::string::npos);
    CHECK(sata.reasons[0].text.find("the fix virtio") != std::string::npos);

    const MachineAdvice ide = advise_machine(guest("3.10.0", {{"ata_piix", DriverPlace::builtin}}, DriverPlace::disk));
    CHECK(ide.profile.machine == MachineType::i440fx);
    CHECK(ide.profile.disk == DiskBus::ide);
    CHECK(ide.profile.network == NetworkModel::virtio); // a module on the disk is early enough

    const MachineAdvice lost = advise_machine(guest("5.10.0", {}, DriverPlace::missing));
    CHECK(lost.profile.disk == DiskBus::virtio);
    CHECK(lost.reasons.at(0).text.find("finds no disk") != std::string::npos);
}

TEST_CASE("kernels older than the machine get an older machine") {
    const MachineAdvice old = advise_machine(guest("2.6.18-398.el5", {}, DriverPlace::missing));
    CHECK(old.profile.machine == MachineType::i440fx);
    CHECK(old.profile.disk == DiskBus::ide);
    CHECK(old.profile.network == NetworkModel::rtl8139);
    CHECK(advise_machine(guest("2.6.32-754.el6", {}, DriverPlace::initrd)).profile.machine == MachineType::q35);
}

TEST_CASE("what cannot be known changes nothing") {
    GuestInfo unread = guest("4.18.0", {{"ahci", DriverPlace::initrd}}, DriverPlace::missing);
    unread.kernels[0].boots_on_virtio.reset();
    CHECK(advise_machine(unread).profile.disk == DiskBus::virtio);
    CHECK(advise_machine(GuestInfo{}).reasons.empty());
}

TEST_CASE("the level of the processor follows the distribution") {
    const auto level = [](const char* distribution, const char* version) {
        OsInfo os;
        os.distribution = distribution;
        os.version = version;
        return cpu_level_of(os);
    };
    CHECK(level("rhel", "10.1") == CpuLevel::v3);
    CHECK(level("rocky", "9.4") == CpuLevel::v2);
    CHECK(level("debian", "13") == CpuLevel::v2);
}

TEST_CASE("the strongest sign that the guest can give is waited for") {
    GuestInfo info;
    CHECK(advise_machine(info).ready == DefaultReady::login);
    info.agents.push_back({"qemu-guest-agent", "/usr/sbin/qemu-ga", false});
    CHECK(advise_machine(info).ready == DefaultReady::login);
    info.agents[0].enabled = true;
    CHECK(advise_machine(info).ready == DefaultReady::agent);
    info.agents[0].name = "open-vm-tools";
    CHECK(advise_machine(info).ready == DefaultReady::login);

    info.cloud_init.installed = true;
    CHECK_FALSE(advise_machine(info).tells_cloud_init);
    info.boot.serial_consoles = {"ttyS0"};
    CHECK(advise_machine(info).tells_cloud_init);
    info.cloud_init.disabled = true;
    CHECK_FALSE(advise_machine(info).tells_cloud_init);
}

TEST_CASE("Secure Boot is for what the firmware starts, not for any signed program") {
    GuestInfo info;
    info.boot.efi_fallback = "EFI/BOOT/BOOTX64.EFI";
    info.boot.efi_programs = {{"EFI/BOOT/BOOTX64.EFI", false}, {"EFI/debian/shimx64.efi", true}};
    CHECK_FALSE(advise_machine(info).secure_boot);
    info.boot.efi_programs[0].is_signed = true;
    CHECK(advise_machine(info).secure_boot);
}

TEST_CASE("systemd tells by vsock from version 254 on") {
    GuestInfo info;
    info.init = "systemd";
    for (const auto& [version, mode] :
         {std::pair("", NotifyMode::none), std::pair("252", NotifyMode::none), std::pair("254", NotifyMode::vsock)}) {
        info.init_version = version;
        CHECK(advise_machine(info).notify == mode);
    }
}
