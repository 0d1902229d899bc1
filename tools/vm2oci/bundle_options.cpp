#include "tools/vm2oci/bundle_options.hpp"

#include "formats/base/error.hpp"
#include "tools/vm2oci/help.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <string_view>

namespace vm2oci::cli {

void add_bundle_options(CLI::App& command, BundleArguments& arguments) {
    const auto text = [&](const char* name, std::string& value, const char* value_name, const char* description) {
        return command.add_option(name, value, description)->option_text(value_name)->group(group::image);
    };
    text("--kernel", arguments.kernel, "KERNEL",
         "bundle, runv: guest (the guest's newest, with its initrd; default of machines), minimal (ours; default of "
         "container images and runv), or a file");
    text("--initrd", arguments.initramfs, "FILE",
         "bundle: another initramfs than the kernel's own, or none; runv: hyperstart's");
    command
        .add_option_function<std::string>(
            "--cmdline", [&arguments](const std::string& words) { arguments.command_line = words; },
            "bundle: what the kernel is told besides its root (default: what the guest's boot loader tells its own)")
        ->option_text("TEXT")
        ->group(group::image);
    text("--root", arguments.root, "KIND",
         "bundle, kata: qcow2 (default: the guest's root file system, as --disk-format has it; kata: ext4), or erofs "
         "(read-only, with "
         "what the guest writes kept in memory)")
        ->check(CLI::IsMember({"qcow2", "erofs"}));
    command
        .add_flag("--krun", arguments.krun,
                  "bundle: add what 'podman run --runtime krun' starts it by; the root becomes a raw disk or erofs")
        ->group(group::image);
    command
        .add_flag(
            "--verity", arguments.verity,
            "bundle, kata: the root proves itself block by block (dm-verity), and a changed one stops the machine")
        ->group(group::image);
}

std::string take_kata_agent(std::vector<std::string>& agents) {
    constexpr std::string_view kPrefix = "kata-agent=";
    const auto found = std::find_if(agents.begin(), agents.end(),
                                    [&](const std::string& agent) { return agent.starts_with(kPrefix); });
    if (found == agents.end())
        fail(ErrorKind::usage, "--as kata needs the agent that goes with your Kata: --agent kata-agent=FILE");
    std::string file = found->substr(kPrefix.size());
    agents.erase(found);
    return file;
}

BundleRequest bundle_request(const BundleArguments& arguments) {
    BundleRequest request;
    if (arguments.kernel == "minimal") {
        request.kernel = KernelOrigin::minimal;
    } else if (arguments.kernel == "guest") {
        request.kernel = KernelOrigin::guest;
    } else if (!arguments.kernel.empty()) {
        request.kernel = KernelOrigin::file;
        request.kernel_file = arguments.kernel;
    }
    if (arguments.initramfs == "none") {
        request.initramfs = InitramfsChoice::none;
    } else if (!arguments.initramfs.empty()) {
        request.initramfs = InitramfsChoice::file;
        request.initramfs_file = arguments.initramfs;
    }
    request.command_line = arguments.command_line;
    if (arguments.root == "erofs")
        request.root = BundleRootKind::erofs;
    if (arguments.krun)
        request.krun = KrunSupport::yes;
    if (arguments.verity)
        request.proof = RootProof::verity;
    return request;
}

} // namespace vm2oci::cli
