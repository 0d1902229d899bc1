#include "runner/qemu/arguments.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;

namespace {

std::string joined(const VmSpec& spec, Accelerator accelerator = Accelerator::tcg, const std::string& code = "") {
    std::string text;
    for (const std::string& word : qemu_arguments(spec, accelerator, {"qemu", code}))
        text += (text.empty() ? "" : word.starts_with('-') ? "\n" : " ") + word;
    return text;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("the default machine, word for word") {
    CHECK(joined(VmSpec{}) == R"(qemu
-nodefaults
-no-user-config
-display none
-S
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
-machine q35,graphics=off,smm=off
-accel tcg,thread=multi
-cpu qemu64,+cx16,+lahf_lm,+popcnt,+sse4.1,+sse4.2,+ssse3,+rdrand
-smp 2
-m 1024M
-action panic=none
-device VGA
-device pvpanic
-device virtio-rng-pci
-chardev socket,id=monitor,fd=3
-mon chardev=monitor,mode=control
-chardev stdio,id=serial,signal=off
-device isa-serial,chardev=serial
-device virtio-serial-pci
-chardev socket,id=agent,fd=5
-device virtserialport,chardev=agent,id=agent,name=org.qemu.guest_agent.0
-chardev socket,id=own-agent,fd=10
-device virtserialport,chardev=own-agent,id=own-agent,name=org.vm2oci.agent.0
-blockdev driver=nbd,node-name=disk,server.type=fd,server.str=6
-device virtio-blk-pci,drive=disk,bootindex=1)");
}

TEST_CASE("KVM gives the host's processor, unless another is asked for") {
    VmSpec spec;
    const std::string text = joined(spec, Accelerator::kvm);
    CHECK(has(text, "-accel kvm"));
    CHECK(has(text, "-cpu host"));
    CHECK_FALSE(has(text, "tcg"));
    spec.profile.cpu = "Nehalem";
    CHECK(has(joined(spec, Accelerator::kvm), "-cpu Nehalem"));
}

TEST_CASE("an emulated processor has the level that the guest needs") {
    VmSpec spec;
    spec.profile.cpu_level = CpuLevel::v3;
    CHECK(has(joined(spec), "+rdrand,+avx,+avx2,+bmi1,+bmi2,+f16c,+fma,+abm,+movbe,+xsave"));
    CHECK(has(joined(spec, Accelerator::kvm), "-cpu host"));
}

TEST_CASE("systemd in the guest is told where to notify") {
    const std::vector<std::string> words =
        qemu_arguments(VmSpec{}, Accelerator::tcg, {"qemu", ""}, {}, VsockAddress{77, 1234});
    CHECK(std::find(words.begin(), words.end(), "vhost-vsock-pci,guest-cid=77,vhostfd=11") != words.end());
    CHECK(std::find(words.begin(), words.end(), "type=11,value=io.systemd.credential:vmm.notify_socket=vsock:2:1234") !=
          words.end());
    CHECK_FALSE(has(joined(VmSpec{}), "vsock"));
}

TEST_CASE("without being asked, no machine has a network") {
    VmSpec spec;
    CHECK_FALSE(has(joined(spec), "net"));
    spec.network = NetworkMode::user;
    spec.forwards = {{8022, 22}, {8080, 80}};
    const std::string text = joined(spec);
    CHECK(has(text, "-netdev user,id=network,hostfwd=tcp:127.0.0.1:8022-:22,hostfwd=tcp:127.0.0.1:8080-:80"));
    CHECK(has(text, "-device virtio-net-pci,netdev=network,romfile="));
}

TEST_CASE("UEFI gets the shared code and private variables") {
    VmSpec spec;
    spec.firmware = Firmware::uefi;
    const std::string text = joined(spec, Accelerator::tcg, "/code.fd");
    CHECK(has(text, "-add-fd fd=8,set=1"));
    CHECK(has(text, "node-name=firmware-code,read-only=on,filename=/code.fd"));
    CHECK(has(text, "node-name=firmware-variables,filename=/dev/fdset/1"));
    CHECK(has(text, "pflash0=firmware-code,pflash1=firmware-variables"));
    CHECK(has(text, "smm=off"));
    spec.firmware = Firmware::uefi_secure;
    const std::string secure = joined(spec, Accelerator::tcg, "/code.fd");
    CHECK(has(secure, "smm=on"));
    CHECK(has(secure, "property=secure,value=on"));
}

TEST_CASE("old guests get old hardware") {
    VmSpec spec;
    spec.profile = {MachineType::i440fx, DiskBus::ide, NetworkModel::e1000, CpuLevel::v2, "qemu64"};
    spec.network = NetworkMode::user;
    const std::string text = joined(spec);
    CHECK(has(text, "-machine pc,"));
    CHECK(has(text, "-device ide-hd,drive=disk,bus=ide.0,bootindex=1"));
    CHECK(has(text, "-device e1000,netdev=network"));
    spec.profile.disk = DiskBus::sata;
    CHECK(has(joined(spec), "-device ich9-ahci,id=ahci\n"));
    CHECK(has(joined(spec), "-device ide-hd,drive=disk,bus=ahci.0,bootindex=1"));
}

TEST_CASE("a seed is a second disk that cannot be written") {
    VmSpec spec;
    spec.seed = std::make_shared<test::MemoryDevice>(512);
    CHECK(has(joined(spec), "node-name=seed,read-only=on,server.type=fd,server.str=7"));
    CHECK(has(joined(spec), "-device virtio-blk-pci,drive=seed"));
    spec.profile.disk = DiskBus::sata;
    CHECK(has(joined(spec), "-device ide-cd,drive=seed"));
}

TEST_CASE("firmware files are looked for in pairs") {
    CHECK(firmware_candidates(Firmware::bios).empty());
    for (const Firmware firmware : {Firmware::uefi, Firmware::uefi_secure})
        for (const FirmwareFiles& files : firmware_candidates(firmware)) {
            CHECK_FALSE(files.code.empty());
            CHECK_FALSE(files.variables.empty());
            CHECK(files.code != files.variables);
        }
}

TEST_CASE("a kernel is booted directly, with its initramfs and what it is told") {
    VmSpec spec;
    spec.kernel = DirectKernel{};
    spec.kernel->command_line = "root=/dev/vda ro console=ttyS0";
    std::string text = joined(spec);
    CHECK(has(text, "-machine q35"));
    CHECK(has(text, "\n-kernel /proc/self/fd/12\n-append no_timer_check root=/dev/vda ro console=ttyS0"));
    CHECK_FALSE(has(text, "-initrd"));
    spec.kernel->initramfs = std::make_shared<test::MemoryDevice>(512);
    text = joined(spec);
    CHECK(has(text, "\n-kernel /proc/self/fd/12\n-initrd /proc/self/fd/13\n-append "));
}

TEST_CASE("an emulated kernel does not hold its timer against a busy host's") {
    VmSpec spec;
    spec.kernel = DirectKernel{};
    spec.kernel->command_line = "root=/dev/vda -- init's own";
    CHECK(has(joined(spec, Accelerator::tcg), "\n-append no_timer_check root=/dev/vda -- init's own"));
    CHECK(has(joined(spec, Accelerator::kvm), "\n-append root=/dev/vda -- init's own"));
    // Nothing is cut off at its end for that word.
    spec.kernel->command_line = std::string(2032, 'x');
    CHECK(has(joined(spec, Accelerator::tcg), "\n-append no_timer_check xxx"));
    spec.kernel->command_line += 'x';
    CHECK(has(joined(spec, Accelerator::tcg), "\n-append xxx"));
}

TEST_CASE("a micro-VM has virtio over MMIO and nothing of a PC's") {
    VmSpec spec;
    spec.kernel = DirectKernel{};
    spec.profile.machine = MachineType::microvm;
    spec.network = NetworkMode::user;
    spec.seed = std::make_shared<test::MemoryDevice>(512);
    const std::string text = joined(spec, Accelerator::kvm);
    CHECK(has(text, "-machine microvm,acpi=on"));
    for (const char* device : {"virtio-blk-device,drive=disk", "virtio-blk-device,drive=seed", "virtio-serial-device",
                               "virtio-rng-device", "virtio-net-device,netdev=network"}) {
        CAPTURE(device);
        CHECK(has(text, std::string("-device ") + device));
    }
    CHECK(has(text, "-serial chardev:serial"));
    for (const char* absent : {"-pci", "VGA", "isa-serial,", "pvpanic", "romfile"}) {
        CAPTURE(absent);
        CHECK_FALSE(has(text, absent));
    }
}

TEST_CASE("a disk whose table counts larger sectors shows them, and no other disk does") {
    VmSpec spec;
    spec.sector_size = 4096;
    spec.seed = spec.disk;
    CHECK(has(joined(spec, Accelerator::tcg),
              "virtio-blk-pci,drive=disk,bootindex=1,logical_block_size=4096,physical_block_size=4096"));
    spec.profile.disk = DiskBus::sata;
    CHECK_FALSE(has(joined(spec, Accelerator::tcg), "block_size"));
    spec = {};
    CHECK_FALSE(has(joined(spec, Accelerator::tcg), "block_size"));
}

TEST_CASE("a machine of several disks has them in their order, and the seed behind them") {
    VmSpec spec;
    spec.further_disks = {{nullptr, 512}, {nullptr, 4096}};
    spec.seed = std::make_shared<test::MemoryDevice>(512);
    const std::string text = joined(spec);
    const std::size_t first = text.find("virtio-blk-pci,drive=disk,bootindex=1");
    const std::size_t second =
        text.find("node-name=disk2,server.type=fd,server.str=14\n-device virtio-blk-pci,drive=disk2,bootindex=2\n");
    const std::size_t third =
        text.find("server.str=15\n-device virtio-blk-pci,drive=disk3,bootindex=3,logical_block_size=4096");
    const std::size_t seed = text.find("virtio-blk-pci,drive=seed");
    CHECK_FALSE(has(text, "drive=seed,bootindex"));
    CHECK(first < second);
    CHECK(second < third);
    CHECK(third < seed);
    CHECK(seed != std::string::npos);
    spec.profile.disk = DiskBus::sata;
    CHECK(has(joined(spec), "ide-hd,drive=disk2,bus=ide.1,bootindex=2\n"));
    CHECK(has(joined(spec), "ide-cd,drive=seed,bus=ide.3"));
    spec.profile.machine = MachineType::i440fx;
    CHECK(has(joined(spec), "ide-hd,drive=disk3,bus=ahci.2"));
    CHECK(has(joined(spec), "ide-cd,drive=seed,bus=ide.1"));
    spec.profile.disk = DiskBus::ide;
    CHECK(has(joined(spec), "ide-hd,drive=disk2,bus=ide.1,bootindex=2\n"));
    CHECK(has(joined(spec), "ide-hd,drive=disk3,bus=ide.0,unit=1"));
    CHECK(has(joined(spec), "ide-cd,drive=seed,bus=ide.1,unit=1"));
}

TEST_CASE("more disks than a bus takes are refused") {
    for (const DiskBus bus : {DiskBus::virtio, DiskBus::sata, DiskBus::ide}) {
        VmSpec spec;
        spec.profile.disk = bus;
        spec.further_disks.resize(max_disks(bus) - 1);
        CHECK_NOTHROW(joined(spec));
        spec.seed = std::make_shared<test::MemoryDevice>(512);
        CHECK_THROWS_WITH(joined(spec), Catch::Contains("controller takes"));
    }
}
