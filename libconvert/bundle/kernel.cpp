#include "libconvert/bundle/kernel.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "libconvert/bundle/plan_root.hpp"
#include "libconvert/edit/kernel_command_lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

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
    if (facts.root_format == BundleRootFormat::erofs) {
        std::vector<std::string> words =
            facts.verity ? verity_words(*facts.verity) : std::vector<std::string>{"root=/dev/vda"};
        words.insert(words.end(), {"rootfstype=erofs", "ro"});
        return words;
    }
    if (!by_name)
        return {"root=UUID=" + facts.root.uuid};
    return {"root=/dev/vda", "rootfstype=" + facts.root.type};
}

// What is for the kernel, and what comes for init, the "--" before it included.
struct SplitLine {
    std::vector<std::string> kernel;
    std::vector<std::string> init;
};

SplitLine split_line(const CommandLineFacts& facts) {
    SplitLine split;
    split.kernel = kernel_words(facts.guest_words);
    const auto end = std::find(split.kernel.begin(), split.kernel.end(), "--");
    split.init.assign(end, split.kernel.end());
    split.kernel.erase(end, split.kernel.end());
    split.kernel = without_old_devices(std::move(split.kernel), facts.root.shape);
    const auto is_unfit = [](const std::string& word) { return !is_usable(word); };
    std::erase_if(split.kernel, is_unfit);
    std::erase_if(split.init, is_unfit);
    if (facts.root_format == BundleRootFormat::erofs)
        std::erase_if(split.kernel, [](const std::string& word) {
            return word == "rw" || word == "ro" || word.starts_with("rootflags=");
        });
    return split;
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
        std::string word = printable_word(at + kBanner.size());
        if (!word.empty() && word[0] >= '0' && word[0] <= '9')
            return word;
    }
    return "";
}

BundleKernel read_guest_kernel(const Guest& guest, const GuestInfo& info) {
    if (info.kernels.empty())
        fail(ErrorKind::unsupported, "the guest has no kernel in /boot", HintKind::other_kernel);
    const KernelInfo& chosen = info.kernels.front();
    BundleKernel kernel;
    kernel.origin = KernelOrigin::guest;
    kernel.image = guest.read_file(chosen.path, kKernelLimit).value_or("");
    if (!is_kernel(kernel.image))
        fail(ErrorKind::unsupported,
             quote_untrusted(chosen.path) + " in the guest is no kernel that can be started directly",
             HintKind::other_kernel);
    kernel.release = kernel_release(kernel.image);
    if (chosen.initrd)
        kernel.initramfs = guest.read_file(chosen.initrd->path, kInitramfsLimit);
    if (chosen.boots_on_virtio != true)
        kernel.remarks.push_back(fmt::format("kernel {} may not find a virtio disk: its drivers are neither built in "
                                             "nor in its initrd; the fix 'virtio' adds them",
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

std::string add_kernel_words(std::string_view command_line, std::string_view words) {
    std::vector<std::string> line = kernel_words(command_line);
    line.insert(std::find(line.begin(), line.end(), "--"), std::string(words));
    return fmt::format("{}", fmt::join(line, " "));
}

std::vector<std::string> words_left_out(const CommandLineFacts& facts) {
    const SplitLine split = split_line(facts);
    std::vector<std::string> left_out = kernel_words(facts.guest_words);
    std::vector<std::string> kept = split.kernel;
    kept.insert(kept.end(), split.init.begin(), split.init.end());
    std::erase_if(left_out, [&](const std::string& word) {
        const auto found = std::find(kept.begin(), kept.end(), word);
        if (found == kept.end())
            return false;
        kept.erase(found);
        return true;
    });
    return left_out;
}

std::string bundle_command_line(const CommandLineFacts& facts) {
    const SplitLine split = split_line(facts);
    const std::vector<std::string>& words = split.kernel;
    const bool read_only_root = facts.root_format == BundleRootFormat::erofs;

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
    if (!facts.guard.empty())
        line.push_back(facts.guard);
    // An initrd of the guest's may remember the swap that was left behind.
    if (facts.has_initramfs && !read_only_root && !has_word(line, "noresume"))
        line.emplace_back("noresume");
    line.insert(line.end(), split.init.begin(), split.init.end());
    return fmt::format("{}", fmt::join(line, " "));
}

std::string kernel_architecture(std::string_view image) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(image[at]); };
    if (is_x86_image(image)) // xloadflags: XLF_KERNEL_64
        return (byte(0x236) & 1U) != 0 ? "amd64" : "386";
    if (image.size() > 64 && image.substr(kArmMagic, 4) == "ARM\x64")
        return "arm64";
    if (image.size() < 20 || !image.starts_with("\x7f"
                                                "ELF"))
        return "";
    const bool big_endian = byte(5) == 2;
    const unsigned high = byte(big_endian ? 18 : 19);
    const unsigned machine = high << 8U | byte(big_endian ? 19 : 18);
    const std::pair<unsigned, const char*> machines[] = {{3, "386"},
                                                         {40, "arm"},
                                                         {62, "amd64"},
                                                         {183, "arm64"},
                                                         {243, "riscv64"},
                                                         {22, "s390x"},
                                                         {21, big_endian ? "ppc64" : "ppc64le"}};
    for (const auto& [number, name] : machines)
        if (number == machine)
            return name;
    return "";
}

bool runs_programs_of(std::string_view kernel, std::string_view programs) {
    // x86-64 kernels run 32-bit programs, and arm64 ones those of arm.
    return kernel.empty() || programs.empty() || kernel == programs || (kernel == "amd64" && programs == "386") ||
           (kernel == "arm64" && programs == "arm");
}

void require_kernel_for(std::string_view image, std::string_view guest_architecture) {
    const std::string kernel = kernel_architecture(image);
    if (!runs_programs_of(kernel, guest_architecture))
        fail(ErrorKind::unsupported,
             fmt::format("the kernel is for {}, and the guest's programs are for {}", kernel,
                         escape_untrusted(guest_architecture)),
             HintKind::other_kernel);
}

std::optional<std::string> obstacle_for_own_kernel(const std::string& type, const BlockDevice& root) {
    // guest-kernel/config/common/storage.config. ext2 and ext3 are mounted by ext4.
    constexpr std::string_view kTypes[] = {"ext2", "ext3", "ext4", "xfs", "btrfs", "erofs"};
    if (std::find(std::begin(kTypes), std::end(kTypes), type) == std::end(kTypes))
        return fmt::format("vm2oci's own kernel mounts no {}", type.empty() ? "root of unknown type" : type);
    if (!type.starts_with("ext"))
        return std::nullopt;
    constexpr std::size_t kSuper = 1024;
    std::array<std::byte, 112> head{};
    if (root.size() < kSuper + head.size())
        return "its file system has no superblock";
    root.read_at(kSuper, head);
    const std::uint32_t incompatible = load_le<std::uint32_t>(head.data() + 96);
    const std::uint32_t read_only = load_le<std::uint32_t>(head.data() + 100);
    // Linux, fs/ext4/ext4.h: EXT4_FEATURE_INCOMPAT_SUPP and _RO_COMPAT_SUPP, without what needs CONFIG_UNICODE,
    // CONFIG_FS_ENCRYPTION and CONFIG_FS_VERITY.
    constexpr std::uint32_t kIncompatible =
        0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000;
    constexpr std::uint32_t kReadOnly =
        0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x10000;
    if ((incompatible & 0x20000) != 0)
        return "its ext4 has the feature casefold, for which vm2oci's own kernel has no Unicode";
    if ((incompatible & 0x10000) != 0)
        return "its ext4 has the feature encrypt, which vm2oci's own kernel is built without";
    if ((incompatible & ~kIncompatible) != 0)
        return fmt::format("its ext4 has features that vm2oci's own kernel does not know (incompat 0x{:x})",
                           incompatible & ~kIncompatible);
    if ((read_only & 0x8000) != 0)
        return "its ext4 has the feature verity, which vm2oci's own kernel is built without";
    if ((read_only & ~kReadOnly) != 0)
        return fmt::format("its ext4 has features with which vm2oci's own kernel mounts it read-only alone (0x{:x})",
                           read_only & ~kReadOnly);
    return std::nullopt;
}

std::string missing_init(const Guest& guest, const std::string& command_line) {
    std::string named; // the last one counts
    for (const std::string& word : kernel_words(command_line)) {
        if (word == "--")
            break;
        if (word.starts_with("init="))
            named = word.substr(5);
    }
    if (!named.empty())
        return exists(guest, named) ? "" : named;
    // init/main.c, kernel_init().
    for (const char* path : {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"})
        if (exists(guest, path))
            return "";
    return "/sbin/init";
}

std::string guard_word(const std::string& selinux, const std::string& command_line) {
    if (selinux != "enforcing" && selinux != "permissive")
        return "";
    for (const std::string& word : kernel_words(command_line)) {
        if (word == "--")
            break;
        if (word.starts_with("security=") || word.starts_with("lsm=") || word == "selinux=0")
            return "";
    }
    return "security=selinux";
}

} // namespace vm2oci
