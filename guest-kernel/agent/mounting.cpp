#include "guest-kernel/agent/mounting.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vm2oci::guest {
namespace {

constexpr const char* kRoot = "/root";
constexpr const char* kLower = "/lower";
constexpr const char* kLayer = "/layer";

struct NamedFlag {
    std::string_view name;
    unsigned long bit;
};
constexpr std::array kFlags = {
    NamedFlag{"ro", MS_RDONLY},         NamedFlag{"nosuid", MS_NOSUID},
    NamedFlag{"nodev", MS_NODEV},       NamedFlag{"noexec", MS_NOEXEC},
    NamedFlag{"sync", MS_SYNCHRONOUS},  NamedFlag{"dirsync", MS_DIRSYNC},
    NamedFlag{"noatime", MS_NOATIME},   NamedFlag{"nodiratime", MS_NODIRATIME},
    NamedFlag{"relatime", MS_RELATIME}, NamedFlag{"strictatime", MS_STRICTATIME},
    NamedFlag{"lazytime", MS_LAZYTIME}, NamedFlag{"rw", 0},
    NamedFlag{"defaults", 0},
};

void make_folder(const char* path) {
    if (::mkdir(path, 0755) != 0 && errno != EEXIST)
        fail_errno(std::string("cannot make ") + path, errno);
}

// overlayfs shows the upper folder's owner and mode as those of the root. What an earlier start left there stays.
void make_upper() {
    constexpr const char* kUpper = "/layer/upper";
    constexpr mode_t kMode = 07777;
    if (::mkdir(kUpper, 0755) != 0) {
        if (errno != EEXIST)
            fail_errno(std::string("cannot make ") + kUpper, errno);
        return;
    }
    struct stat lower {};
    if (::stat(kLower, &lower) != 0 || ::chown(kUpper, lower.st_uid, lower.st_gid) != 0 ||
        ::chmod(kUpper, lower.st_mode & kMode) != 0)
        fail_errno("cannot give the root its owner and its mode", errno);
}

} // namespace

MountFlags parse_mount_flags(std::string_view flags) {
    MountFlags parsed;
    while (!flags.empty()) {
        const std::string_view flag = flags.substr(0, flags.find(','));
        const auto known = std::find_if(kFlags.begin(), kFlags.end(),
                                        [&](const NamedFlag& candidate) { return candidate.name == flag; });
        if (known != kFlags.end())
            parsed.bits |= known->bit;
        else if (!flag.empty())
            parsed.rest += (parsed.rest.empty() ? "" : ",") + std::string(flag);
        flags.remove_prefix(std::min(flag.size() + 1, flags.size()));
    }
    return parsed;
}

bool is_read_only_file_system(std::string_view type) {
    return type == "erofs" || type == "squashfs" || type == "iso9660";
}

void mount_on(const std::string& source, const std::string& target, const std::string& type, unsigned long bits,
              const std::string& data) {
    if (::mount(source.c_str(), target.c_str(), type.empty() ? nullptr : type.c_str(), bits,
                data.empty() ? nullptr : data.c_str()) != 0)
        fail_errno("cannot mount " + escape_untrusted(source) + " as " + quote_untrusted(type), errno);
}

void mount_kernel_file_systems() {
    for (const char* folder : {"/proc", "/sys", "/dev", "/run"})
        make_folder(folder);
    mount_on("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
    mount_on("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC);
    // The kernel may have mounted it already, where the initramfs is not the root that it was asked for.
    if (::mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") != 0 && errno != EBUSY)
        fail_errno("cannot mount /dev", errno);
    mount_on("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
    const int console = ::open("/dev/console", O_RDWR | O_NOCTTY);
    for (int fd = 0; console >= 0 && fd < 3; ++fd)
        ::dup2(console, fd);
    if (console > 2)
        ::close(console);
}

bool is_layered(const BootLine& line, std::string_view type) {
    return line.writable == Writable::memory || line.writable == Writable::device ||
           (line.writable == Writable::automatic && is_read_only_file_system(type));
}

void mount_share(const std::string& source, const std::string& target, const std::string& type) {
    make_folder(target.c_str());
    mount_on(source, target, type, 0);
}

void mount_root(const std::string& node, const std::string& type, const BootLine& line, const LayerPlace* layer) {
    const MountFlags flags = parse_mount_flags(line.flags);
    make_folder(kRoot);
    if (!is_layered(line, type)) {
        mount_on(node, kRoot, type, flags.bits | (line.read_only ? MS_RDONLY : 0), flags.rest);
        return;
    }
    make_folder(kLower);
    make_folder(kLayer);
    mount_on(node, kLower, type, flags.bits | MS_RDONLY, flags.rest);
    if (layer != nullptr)
        mount_on(layer->node, kLayer, layer->type, 0);
    else
        mount_on("tmpfs", kLayer, "tmpfs", 0, "mode=0755");
    make_upper();
    make_folder("/layer/work");
    mount_on("overlay", kRoot, "overlay", 0, "lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work");
}

} // namespace vm2oci::guest
