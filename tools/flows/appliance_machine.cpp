#include "tools/flows/appliance_machine.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/shared_files.hpp"
#include "formats/block/file_device.hpp"
#include "formats/oci/stored_blob.hpp"
#include "formats/tree/cpio.hpp"
#include "runner/appliance_run.hpp"
#include "tools/flows/minimal_kernel.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxProgram = 64 * MiB; // the static program has one

class TextSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override { text_ += as_text(bytes); }
    std::string take() { return std::move(text_); }

  private:
    std::string text_;
};

// A file system for the kernel to begin with: the program as its first process, and nothing else.
std::shared_ptr<const BlockDevice> make_initramfs(const std::filesystem::path& program) {
    const auto content = read_file(program, kMaxProgram);
    if (!content)
        fail(ErrorKind::not_found, program.string() + " has gone");
    TextSink sink;
    CpioWriter writer(sink);
    writer.add_file("init", 0755, *content);
    writer.finish();
    return std::make_shared<TextBlob>(std::make_shared<const std::string>(sink.take()));
}

// QEMU takes a compressed kernel; the appliance is of this machine's architecture whatever the guest is of.
std::optional<std::filesystem::path> find_kernel() {
    auto folder = find_shared_file(shared_file::guest_kernel_x86_64);
    if (!folder)
        return std::nullopt;
    return *folder / kMinimalKernel;
}

bool is_on_path(std::string_view program) {
    const char* variable = std::getenv("PATH");
    std::string_view folders = variable == nullptr ? "/usr/bin:/bin" : variable;
    while (true) {
        const std::size_t end = std::min(folders.find(':'), folders.size());
        if (::access((std::filesystem::path(folders.substr(0, end)) / program).c_str(), X_OK) == 0)
            return true;
        if (end == folders.size())
            return false;
        folders.remove_prefix(end + 1);
    }
}

class InstalledAppliance final : public ApplianceMachine {
  public:
    std::optional<std::string> obstacle() const override {
        if (!find_shared_file(shared_file::agent))
            return fmt::format("vm2oci's appliance is not installed: share/vm2oci/{} is not beside this program; the "
                               "package vm2oci and 'cmake --install' bring it",
                               shared_file::agent);
        if (!find_kernel())
            return fmt::format("vm2oci's appliance has no kernel, which is built only when asked for: {}",
                               kKernelIsBrought);
        if (!is_on_path(ApplianceRunOptions().qemu_binary))
            return "vm2oci's appliance runs in QEMU, which is not installed: 'apt-get install qemu-system-x86'";
        return std::nullopt;
    }

    ApplianceAnswer run(const std::shared_ptr<const BlockDevice>& job, const std::vector<ApplianceVolume>& volumes,
                        const OperationContext& operation) const override {
        const auto kernel = find_kernel();
        const auto program = find_shared_file(shared_file::agent);
        if (!kernel || !program)
            fail(ErrorKind::external, obstacle().value_or("vm2oci's appliance has gone"));
        std::vector<FurtherDisk> disks;
        for (const ApplianceVolume& volume : volumes)
            disks.push_back({volume.device, 512, volume.changes, fmt::format("volume{}", disks.size())});
        const VmSpec spec = appliance_machine(std::make_shared<FileDevice>(open_read(*kernel), *kernel),
                                              make_initramfs(*program), job, std::move(disks));
        return run_appliance(spec, {}, operation);
    }
};

} // namespace

std::shared_ptr<const ApplianceMachine> installed_appliance() {
    return std::make_shared<InstalledAppliance>();
}

} // namespace vm2oci
