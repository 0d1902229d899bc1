#include "libconvert/bundle/krun.hpp"

#include "formats/base/error.hpp"
#include "libconvert/bundle/kernel.hpp"
#include "libconvert/edit/kernel_command_lines.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

int number_of(KrunKernel format) {
    return format == KrunKernel::elf ? 1 : 0; // libkrun.h: KRUN_KERNEL_FORMAT_ELF, _RAW
}

// What krun's own kernel is told of its console and of its end: no ACPI turns this machine off, a reset ends it.
constexpr const char* kMachineWords = "console=hvc0 reboot=k panic=-1";
// The tag of the container's files unless the settings name another.
constexpr const char* kShareWords = "root=/dev/root rootfstype=virtiofs";

} // namespace

std::string krun_settings(const BundleDescription& bundle, std::string_view kernel, KrunKernel format) {
    if (bundle.root_format == BundleRootFormat::qcow2)
        fail(ErrorKind::unsupported,
             "krun gives a guest files and no disk, and a kernel cannot make a disk of a qcow2 "
             "file",
             HintKind::krun_root);
    if (!bundle.initramfs)
        fail(ErrorKind::unsupported, "krun's guests need an initramfs that makes a disk of the root's file");
    std::string line = fmt::format("{} vm2oci.file=/{}", kShareWords, bundle.root);
    bool is_for_init = false;
    for (const std::string& word : kernel_words(bundle.command_line)) {
        is_for_init = is_for_init || word == "--";
        if (is_for_init ||
            (!word.starts_with("root=") && !word.starts_with("rootfstype=") && !word.starts_with("console=")))
            line += fmt::format(" {}", word);
    }
    line = add_kernel_words(line, kMachineWords);
    if (line.size() > kKernelCommandLineLimit)
        fail(ErrorKind::limit, "the kernel's command line becomes too long for krun");
    const nlohmann::ordered_json settings = {{"kernel_path", fmt::format("/{}", kernel)},
                                             {"kernel_format", number_of(format)},
                                             {"initrd_path", fmt::format("/{}", *bundle.initramfs)},
                                             {"kernel_cmdline", line}};
    return settings.dump() + "\n";
}

} // namespace vm2oci
