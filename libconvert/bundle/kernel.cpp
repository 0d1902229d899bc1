#include "libconvert/bundle/kernel.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "libconvert/bundle/plan_root.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::size_t kSetupHeader = 0x202; // "HdrS" (Documentation/arch/x86/boot.rst)
constexpr std::size_t kArmMagic = 56;       // "ARMd" (Documentation/arch/arm64/booting.rst)

bool is_x86_image(std::string_view image) {
    return image.size() > 0x260 && image.substr(kSetupHeader, 4) == "HdrS";
}

bool is_kernel(std::string_view image) {
    return is_x86_image(image) ||
           image.starts_with("\x7f"
                             "ELF") ||
           (image.size() > 64 && image.substr(kArmMagic, 4) == "ARM\x64");
}

std::string read_whole(const std::filesystem::path& path, std::size_t limit) {
    auto bytes = read_file(path, limit);
    if (!bytes)
        fail(ErrorKind::not_found, path.string() + ": no such file");
    return *std::move(bytes);
}

bool has_key(const std::vector<std::string>& words, std::string_view key) {
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) { return word.starts_with(key); });
}

bool has_word(const std::vector<std::string>& words, std::string_view wanted) {
    return std::find(words.begin(), words.end(), wanted) != words.end();
}

// Words that a boot loader would have filled in, and such as an escaped line cannot carry.
bool is_usable(const std::string& word) {
    return word.find('$') == std::string::npos && !word.starts_with("BOOT_IMAGE=") && !word.starts_with("initrd=") &&
           escape_untrusted(word, word.size()) == word;
}

std::vector<std::string> root_words(const CommandLineFacts& facts) {
    const bool by_name = !facts.has_initramfs || facts.root.uuid.empty();
    if (facts.root_format == BundleRootFormat::erofs)
        return {"root=/dev/vda", "rootfstype=erofs", "ro"};
    if (!by_name)
        return {"root=UUID=" + facts.root.uuid};
    return {"root=/dev/vda", "rootfstype=" + facts.root.type};
}

} // namespace

std::string kernel_release(const std::string& image) {
    const auto printable_word = [&](std::size_t at) {
        std::string word;
        while (at < image.size() && word.size() < 128 && image[at] > ' ' && image[at] < '\x7f')
            word += image[at++];
        return word;
    };
    if (is_x86_image(image)) {
        const std::size_t at =
            load_le<std::uint16_t>(reinterpret_cast<const std::byte*>(image.data()) + 0x20e) + std::size_t{0x200};
        return at == 0x200 ? "" : printable_word(at);
    }
    constexpr std::string_view kBanner = "Linux version ";
    for (std::size_t at = image.find(kBanner); at != std::string::npos; at = image.find(kBanner, at + 1)) {
        const std::string word = printable_word(at + kBanner.size());
        if (!word.empty() && word[0] >= '0' && word[0] <= '9')
            return word;
    }
    return "";
}

BundleKernel read_guest_kernel(const Guest& guest, const GuestInfo& info) {
    if (info.kernels.empty())
        fail(ErrorKind::not_found, "the guest has no kernel in /boot; take --kernel minimal or --kernel PATH");
    const KernelInfo& chosen = info.kernels.front();
    BundleKernel kernel;
    kernel.origin = KernelOrigin::guest;
    kernel.image = guest.read_file(chosen.path, kKernelLimit).value_or("");
    if (!is_kernel(kernel.image))
        fail(ErrorKind::unsupported, quote_untrusted(chosen.path) +
                                         " in the guest is no kernel that can be started directly; take --kernel "
                                         "minimal or --kernel PATH");
    kernel.release = kernel_release(kernel.image);
    if (chosen.initrd)
        kernel.initramfs = guest.read_file(chosen.initrd->path, kInitramfsLimit);
    if (!chosen.boots_on_virtio)
        kernel.remarks.push_back(fmt::format("kernel {} may not find a virtio disk: its drivers are neither built in "
                                             "nor in its initrd (--fix=virtio adds them)",
                                             escape_untrusted(chosen.version)));
    return kernel;
}

BundleKernel read_kernel_file(KernelOrigin origin, const std::filesystem::path& path) {
    BundleKernel kernel;
    kernel.origin = origin;
    kernel.image = read_whole(path, kKernelLimit);
    if (!is_kernel(kernel.image))
        fail(ErrorKind::unsupported,
             path.string() + " is no kernel: a bzImage, an ELF vmlinux or an arm64 Image is needed");
    kernel.release = kernel_release(kernel.image);
    return kernel;
}

std::string read_initramfs_file(const std::filesystem::path& path) {
    return read_whole(path, kInitramfsLimit);
}

std::string bundle_command_line(const CommandLineFacts& facts) {
    std::vector<std::string> words = without_old_devices(words_of(facts.guest_words), facts.root.shape);
    std::erase_if(words, [](const std::string& word) { return !is_usable(word); });
    const bool read_only_root = facts.root_format == BundleRootFormat::erofs;
    if (read_only_root)
        std::erase_if(words, [](const std::string& word) {
            return word == "rw" || word == "ro" || word.starts_with("rootflags=");
        });

    std::vector<std::string> line = root_words(facts);
    if (!read_only_root && !has_word(words, "ro") && !has_word(words, "rw"))
        line.emplace_back(facts.fstab_has_root ? "ro" : "rw");
    line.insert(line.end(), words.begin(), words.end());
    const std::string terminal = facts.architecture == "arm64" ? "ttyAMA0" : "ttyS0";
    if (!has_word(line, "console=" + terminal) && !has_key(line, "console=" + terminal + ",")) {
        // The last console is /dev/console; tty0 stays for those who watch the screen.
        if (!has_key(line, "console="))
            line.emplace_back("console=tty0");
        line.push_back("console=" + terminal + ",115200");
    }
    // An initrd of the guest's may remember the swap that was left behind.
    if (facts.has_initramfs && !read_only_root && !has_word(line, "noresume"))
        line.emplace_back("noresume");
    return fmt::format("{}", fmt::join(line, " "));
}

} // namespace vm2oci
