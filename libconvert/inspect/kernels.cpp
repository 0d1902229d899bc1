#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "libconvert/guest/release_order.hpp"
#include "libconvert/inspect/initrd.hpp"
#include "libconvert/inspect/parts.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace vm2oci::inspect {
namespace {

constexpr std::array<std::string_view, 6> kDrivers = {"virtio",     "virtio_ring", "virtio_pci",
                                                      "virtio_blk", "virtio_scsi", "virtio_net"};
constexpr std::array<std::string_view, 5> kOlderDrivers = {"ahci", "ata_piix", "piix", "e1000", "e1000e"};
constexpr std::size_t kModuleListLimit = 16ull * 1024 * 1024;

// "kernel/drivers/block/virtio_blk.ko.xz" → "virtio_blk". Dashes and underscores are the same to the kernel.
std::string module_name(std::string_view path) {
    std::string name(path.substr(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1));
    const std::size_t suffix = name.find(".ko");
    if (suffix == std::string::npos)
        return {};
    name.resize(suffix);
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

bool is_older_driver(std::string_view file) {
    file.remove_prefix(file.rfind('/') == std::string_view::npos ? 0 : file.rfind('/') + 1);
    return std::any_of(kOlderDrivers.begin(), kOlderDrivers.end(), [&](std::string_view name) {
        return starts_with(file, name) && file.substr(name.size(), 3) == ".ko";
    });
}

std::set<std::string> read_module_list(const Guest& guest, const std::string& path) {
    std::set<std::string> names;
    const std::string text = try_read_text(guest, path, kModuleListLimit).value_or("");
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view(text).substr(at, end - at);
        const std::string_view file = line.substr(0, line.find(':')); // modules.dep: what it depends on follows
        const bool virtio = line.find("virtio") != std::string_view::npos;
        if (std::string name = virtio || is_older_driver(file) ? module_name(file) : std::string(); !name.empty())
            names.insert(std::move(name));
        at = end + 1;
    }
    return names;
}

// The version stands in the setup header of an x86 image (Documentation/arch/x86/boot.rst, kernel_version).
std::string version_in_image(const Guest& guest, const std::string& path) {
    const std::string head = guest.read_range(path, 0, 0x10000).value_or("");
    if (head.size() < 0x210 || head.substr(0x202, 4) != "HdrS")
        return {};
    const std::size_t at =
        load_le<std::uint16_t>(reinterpret_cast<const std::byte*>(head.data()) + 0x20e) + std::size_t{0x200};
    if (at >= head.size())
        return {};
    const std::string text = head.substr(at, 128);
    return text.substr(0, text.find_first_of(std::string_view(" \0", 2)));
}

std::string architecture_of(const Guest& guest, const std::string& path) {
    const std::string head = guest.read_range(path, 0, 0x1000).value_or("");
    if (std::string found = elf_architecture(head); !found.empty())
        return found;
    if (std::string found = pe_architecture(head); !found.empty())
        return found;
    // An x86 image that is no EFI program: xloadflags tells 64-bit kernels.
    if (head.size() >= 0x238 && head.substr(0x202, 4) == "HdrS")
        return (static_cast<unsigned char>(head[0x236]) & 1) != 0 ? "amd64" : "386";
    return {};
}

// "image": SUSE on s390x.
constexpr std::string_view kImagePrefixes[] = {"vmlinuz", "vmlinux", "bzImage", "Image", "image", "kernel"};

bool is_kernel_name(const std::string& name) {
    for (const std::string_view other : {".hmac", ".old", ".sig", ".p7s", ".bak", ".debug", ".dpkg-bak", ".rpmsave",
                                         ".rpmorig", ".dpkg-tmp", ".dpkg-dist", ".asc", ".signed", "~"})
        if (ends_with(name, other))
            return false;
    // An ELF file for debuggers, packed or not: SUSE puts it beside the kernel.
    if (starts_with(name, "vmlinux"))
        for (const std::string_view packed : {".gz", ".xz", ".bz2", ".zst", ".lz4", ".lzma"})
            if (ends_with(name, packed))
                return false;
    return std::any_of(std::begin(kImagePrefixes), std::end(kImagePrefixes), [&](std::string_view prefix) {
        return starts_with(name, prefix) && (name.size() == prefix.size() || name[prefix.size()] == '-');
    });
}

// The customary names of the initrd beside a kernel: Debian's, Red Hat's, SUSE's, Alpine's, Arch's. By the kernel's own
// name first: a rescue kernel is a copy of another, with its version and an initrd of its own.
std::vector<std::string> initrd_names(const std::string& kernel, const std::string& version) {
    const std::string suffix = kernel.find('-') == std::string::npos ? "" : kernel.substr(kernel.find('-'));
    std::vector<std::string> tails = {"-" + version};
    tails.insert(suffix.empty() ? tails.end() : tails.begin(), suffix);
    std::vector<std::string> names;
    for (const std::string& tail : tails) {
        if (tail == "-")
            continue;
        for (const std::string& name : {"initrd.img" + tail, "initramfs" + tail + ".img", "initrd" + tail,
                                        "initramfs" + tail, "initrd" + tail + ".img"})
            names.push_back(name);
    }
    return names;
}

// What holds in an initrd must not be guessed from the modules beside it.
std::optional<bool> find_disk_early(const KernelInfo& kernel) {
    bool known = true;
    for (const DriverInfo& driver : kernel.drivers) {
        if (driver.name != "virtio_pci" && driver.name != "virtio_blk")
            continue;
        if (driver.place == DriverPlace::disk || driver.place == DriverPlace::missing)
            return false;
        known = known && driver.place != DriverPlace::unknown;
    }
    return known ? std::optional<bool>(true) : std::nullopt;
}

void read_drivers(const Guest& guest, KernelInfo& kernel, const std::set<std::string>& in_initrd) {
    std::string modules = "/lib/modules/" + kernel.version;
    if (!exists(guest, modules))
        modules = "/usr/lib/modules/" + kernel.version;
    kernel.has_modules = exists(guest, modules);
    const std::set<std::string> builtin = read_module_list(guest, modules + "/modules.builtin");
    const bool is_initrd_known = !kernel.initrd || kernel.initrd->problem.empty();
    std::set<std::string> on_disk;
    if (is_initrd_known)
        on_disk = read_module_list(guest, modules + "/modules.dep");
    const auto find = [&](std::string_view name) {
        const std::string key(name);
        DriverPlace place = DriverPlace::missing;
        if (builtin.count(key) != 0)
            place = DriverPlace::builtin;
        else if (in_initrd.count(key) != 0)
            place = DriverPlace::initrd;
        else if (!is_initrd_known)
            place = DriverPlace::unknown;
        else if (on_disk.count(key) != 0)
            place = DriverPlace::disk;
        return DriverInfo{key, place};
    };
    for (const std::string_view name : kDrivers)
        kernel.drivers.push_back(find(name));
    for (const std::string_view name : kOlderDrivers)
        kernel.older_drivers.push_back(find(name));
    kernel.boots_on_virtio = find_disk_early(kernel);
}

KernelInfo read_kernel(const Guest& guest, const std::string& folder, const std::string& name, LargeFiles large_files,
                       const OperationContext& operation) {
    KernelInfo kernel;
    kernel.path = folder + "/" + name;
    const std::optional<FileStatus> status = guest.status(kernel.path, FinalLink::follow);
    kernel.size = status ? status->size : 0;
    if (large_files == LargeFiles::read) {
        kernel.version = version_in_image(guest, kernel.path);
        kernel.architecture = architecture_of(guest, kernel.path);
    }
    if (kernel.version.empty() && name.find('-') != std::string::npos)
        kernel.version = name.substr(name.find('-') + 1);
    if (starts_with(folder, "/usr/lib/modules/") || starts_with(folder, "/lib/modules/"))
        kernel.version = folder.substr(folder.rfind('/') + 1);
    std::set<std::string> in_initrd;
    for (const std::string& candidate : initrd_names(name, kernel.version)) {
        const std::string path = "/boot/" + candidate;
        const std::optional<FileStatus> found = guest.status(path, FinalLink::follow);
        if (!found || found->type != FileType::regular)
            continue;
        if (large_files == LargeFiles::leave) {
            kernel.initrd = InitrdInfo{path, found->size, "", "not read, for its size; inspect a local copy", 0};
            break;
        }
        const InitrdFindings findings = read_initrd(guest, path, operation);
        kernel.initrd = InitrdInfo{path, found->size, findings.compression, findings.problem, findings.files};
        for (const std::string& file : findings.modules)
            in_initrd.insert(module_name(file));
        break;
    }
    read_drivers(guest, kernel, in_initrd);
    return kernel;
}

// The ELF file that stands beside what it was made into.
bool is_beside_bootable(const std::string& name, const std::vector<std::string>& names) {
    if (!starts_with(name, "vmlinux"))
        return false;
    const std::string suffix = name.substr(std::string_view("vmlinux").size());
    return std::any_of(names.begin(), names.end(), [&](const std::string& other) {
        return other == "vmlinuz" + suffix || other == "Image" + suffix || other == "bzImage" + suffix;
    });
}

} // namespace

std::vector<KernelInfo> read_kernels(const Guest& guest, LargeFiles large_files, const OperationContext& operation) {
    std::vector<std::pair<std::string, std::string>> images; // folder, name
    const std::vector<std::string> names = list_folder(guest, "/boot");
    for (const std::string& name : names)
        if (is_kernel_name(name) && !is_beside_bootable(name, names)) {
            const std::optional<FileStatus> status = guest.status("/boot/" + name, FinalLink::keep);
            if (status && status->type == FileType::regular)
                images.emplace_back("/boot", name);
        }
    if (images.empty()) // Fedora and Arch keep the image beside the modules, too
        for (const std::string& version : list_folder(guest, "/usr/lib/modules"))
            if (exists(guest, "/usr/lib/modules/" + version + "/vmlinuz"))
                images.emplace_back("/usr/lib/modules/" + version, "vmlinuz");
    std::vector<KernelInfo> kernels;
    for (const auto& [folder, name] : images) {
        operation.check_cancelled();
        kernels.push_back(read_kernel(guest, folder, name, large_files, operation));
    }
    const auto is_rescue = [](const KernelInfo& kernel) { return kernel.path.find("-rescue") != std::string::npos; };
    std::stable_sort(kernels.begin(), kernels.end(), [&](const KernelInfo& a, const KernelInfo& b) {
        return a.version == b.version ? !is_rescue(a) && is_rescue(b) : is_newer_release(a.version, b.version);
    });
    return kernels;
}

} // namespace vm2oci::inspect
