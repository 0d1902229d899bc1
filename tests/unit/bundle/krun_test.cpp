#include "formats/base/error.hpp"
#include "libconvert/bundle/krun.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vm2oci;

namespace {

BundleDescription raw_bundle() {
    BundleDescription bundle;
    bundle.initramfs = bundle_path::initramfs;
    bundle.command_line = "root=UUID=1234 rootfstype=ext4 ro quiet console=tty0 console=ttyS0,115200 noresume";
    bundle.root = bundle_path::root_raw;
    bundle.root_format = BundleRootFormat::raw;
    return bundle;
}

ErrorKind kind_of_refusal(const BundleDescription& bundle) {
    try {
        krun_settings(bundle, krun_path::kernel, KrunKernel::elf);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("it was not refused");
    return {};
}

} // namespace

TEST_CASE("krun is told where the root's file is, and of the console that it has") {
    const auto settings = nlohmann::json::parse(krun_settings(raw_bundle(), krun_path::kernel, KrunKernel::elf));
    CHECK(settings ==
          nlohmann::json{{"kernel_path", "/boot/vmlinux"},
                         {"kernel_format", 1},
                         {"initrd_path", "/boot/initramfs"},
                         {"kernel_cmdline", "root=/dev/root rootfstype=virtiofs vm2oci.file=/disk/rootfs.img ro quiet "
                                            "noresume console=hvc0 reboot=k panic=-1"}});
    const auto arm = nlohmann::json::parse(krun_settings(raw_bundle(), bundle_path::kernel, KrunKernel::raw));
    CHECK(arm["kernel_path"] == "/boot/vmlinuz");
    CHECK(arm["kernel_format"] == 0);
}

TEST_CASE("what krun cannot start is refused") {
    BundleDescription bundle = raw_bundle();
    bundle.root_format = BundleRootFormat::qcow2;
    CHECK(kind_of_refusal(bundle) == ErrorKind::unsupported);
    bundle = raw_bundle();
    bundle.initramfs.reset();
    CHECK(kind_of_refusal(bundle) == ErrorKind::unsupported);
    bundle = raw_bundle();
    bundle.command_line += std::string(kKernelCommandLineLimit - bundle.command_line.size(), 'x');
    CHECK(kind_of_refusal(bundle) == ErrorKind::limit);
}

TEST_CASE("words for init stay behind those for krun's kernel, and are all kept") {
    BundleDescription bundle = raw_bundle();
    bundle.command_line = "root=/dev/vda ro console=ttyS0 -- console=mine root=/x";
    const auto settings = nlohmann::json::parse(krun_settings(bundle, krun_path::kernel, KrunKernel::elf));
    CHECK(settings["kernel_cmdline"] ==
          "root=/dev/root rootfstype=virtiofs vm2oci.file=/disk/rootfs.img ro console=hvc0 reboot=k panic=-1 -- "
          "console=mine root=/x");
}
