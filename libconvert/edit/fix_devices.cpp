// Names such as /dev/sda1, which are another machine's order of disks, turned into UUIDs of file systems, or of
// partitions where the kernel has no initrd to look for a file system.
#include "formats/base/escape.hpp"
#include "libconvert/edit/kernel_command_lines.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/guest/boot_disk.hpp"
#include "libconvert/guest/device_name.hpp"
#include "libconvert/guest/fstab.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace vm2oci {
namespace {

enum class NamedBy { file_system, partition };

class DeviceRenamer {
  public:
    DeviceRenamer(PlanBuilder& plan, const FixContext& context)
        : plan_(plan), context_(context), disks_(find_disks(plan, context.volumes)) {}

    // The name that stays right on another machine; nullopt: leave it.
    std::optional<std::string> rename(std::string_view name, const std::string& where,
                                      NamedBy by = NamedBy::file_system) {
        const std::optional<DiskDeviceName> device = parse_disk_device(name);
        if (!device)
            return std::nullopt;
        const std::optional<std::size_t> place = place_of_disk(disks_, device->disk);
        const auto volume = std::find_if(context_.volumes.begin(), context_.volumes.end(), [&](const DiskVolume& each) {
            const unsigned lone = each.disk == 0 ? disks_.lone_partition.value_or(1) : 1;
            const bool is_lone = each.number == 0 && device->partition == lone;
            return each.disk == place && (each.number == device->partition || is_lone) &&
                   !(by == NamedBy::file_system ? each.uuid : each.partition_uuid).empty();
        });
        const std::string shown = escape_untrusted(name);
        if (volume != context_.volumes.end() && volume->type != "LVM2_member") {
            if (seen_.insert(std::string(name)).second)
                context_.problems.push_back(
                    fmt::format("{} names {}, which is another disk, or none, on another machine", where, shown));
            return by == NamedBy::file_system ? "UUID=" + volume->uuid : "PARTUUID=" + volume->partition_uuid;
        }
        if (seen_.insert(std::string(name)).second)
            plan_.found(fmt::format("{} names {}, and no partition of this disk is known to be it", where, shown));
        return std::nullopt;
    }

  private:
    // What the guest calls the disk that we have, told by what its root lies on.
    static GuestDisks find_disks(const PlanBuilder& plan, const std::vector<DiskVolume>& volumes) {
        GuestDisks disks;
        const bool has_table = std::none_of(volumes.begin(), volumes.end(),
                                            [](const DiskVolume& each) { return each.disk == 0 && each.number == 0; });
        const auto learn = [&](std::string_view name) {
            const auto device = parse_disk_device(name);
            const auto is_there = [&](const DiskVolume& each) {
                return each.disk == 0 && each.number == device->partition;
            };
            if (!device || (has_table && std::none_of(volumes.begin(), volumes.end(), is_there)))
                return;
            if (!has_table)
                disks.lone_partition = device->partition;
            disks.own.push_back(device->disk);
        };
        const std::vector<FstabEntry> fstab = parse_fstab(plan.read_text("/etc/fstab").value_or(""));
        for (const FstabEntry& entry : fstab)
            if (entry.mount_point == "/")
                learn(entry.device);
        for (const std::vector<std::string>& words : kernel_command_lines(plan))
            for (const std::string_view word : words)
                if (word.starts_with("root="))
                    learn(word.substr(5));
        learn_boot_disk(disks, fstab);
        return disks;
    }

    PlanBuilder& plan_;
    const FixContext& context_;
    GuestDisks disks_;
    std::set<std::string> seen_;
};

// A table of blank-separated columns: `column` is renamed, everything else stays as it is, blanks included.
void rename_in_table(PlanBuilder& plan, DeviceRenamer& renamer, const std::string& path, unsigned column,
                     const std::string& reason) {
    const auto text = plan.read_text(path);
    if (!text)
        return;
    std::string out;
    for (const std::string_view view : lines_of(*text)) {
        std::string line(view);
        std::size_t begin = line.find_first_not_of(" \t");
        if (begin != std::string::npos && line[begin] != '#') {
            for (unsigned i = 0; i < column && begin != std::string::npos; ++i) {
                begin = line.find_first_of(" \t", begin);
                begin = begin == std::string::npos ? begin : line.find_first_not_of(" \t", begin);
            }
            if (begin != std::string::npos) {
                const std::size_t end = std::min(line.find_first_of(" \t\r", begin), line.size());
                if (const auto name = renamer.rename(line.substr(begin, end - begin), path))
                    line.replace(begin, end - begin, *name);
            }
        }
        out += line + "\n";
    }
    if (out != *text && out != *text + "\n")
        plan.write(path, out, reason);
}

// Linux 3.8 is the first that finds a root by the PARTUUID of an MBR's partition too (init/do_mounts.c).
bool kernels_know_partition_uuids(const PlanBuilder& plan) {
    const std::vector<std::string> folders = plan.glob("/lib/modules/*");
    return std::all_of(folders.begin(), folders.end(), [](const std::string& folder) {
        const std::string version = folder.substr(folder.rfind('/') + 1);
        unsigned major = 0;
        unsigned minor = 0;
        const char* const end = version.data() + version.size();
        const auto dot = std::from_chars(version.data(), end, major);
        if (dot.ec != std::errc() || dot.ptr == end || *dot.ptr != '.' ||
            std::from_chars(dot.ptr + 1, end, minor).ec != std::errc())
            return true; // a folder of something else
        return major > 3 || (major == 3 && minor >= 8);
    });
}

} // namespace

void plan_devices_fix(PlanBuilder& plan, const FixContext& context) {
    const std::string reason = "device names differ between machines, UUIDs do not";
    DeviceRenamer renamer(plan, context);
    rename_in_table(plan, renamer, "/etc/fstab", 0, reason);
    rename_in_table(plan, renamer, "/etc/crypttab", 1, reason);
    // Without an initrd it is the kernel that looks for the root, and it knows no UUIDs of file systems.
    const bool has_initrd = !plan.glob("/boot/initr*").empty() || !plan.glob("/boot/*/initr*").empty();
    const NamedBy by = has_initrd ? NamedBy::file_system : NamedBy::partition;
    const bool old_kernel = !has_initrd && !kernels_know_partition_uuids(plan);
    change_kernel_command_lines(
        plan,
        [&](std::vector<std::string> words) {
            for (std::string& word : words)
                for (const std::string_view key : {"root=", "resume="}) {
                    if (!word.starts_with(key) || !parse_disk_device(word.substr(key.size())))
                        continue;
                    if (old_kernel)
                        plan.found(fmt::format("the kernel's command line has {}, and this kernel, which has no "
                                               "initrd, knows no other name for it",
                                               escape_untrusted(word)));
                    else if (const auto name = renamer.rename(word.substr(key.size()), "the kernel's command line", by))
                        word = std::string(key) + *name;
                }
            return words;
        },
        reason);
    const char* resume = "/etc/initramfs-tools/conf.d/resume";
    if (const auto text = plan.read_text(resume))
        if (const auto name = renamer.rename(shell_value(*text, "RESUME"), resume))
            plan.write(resume, with_shell_value(*text, "RESUME", *name).value_or("RESUME=" + *name + "\n"), reason);
    for (const char* pattern : {"/etc/blkid.tab", "/etc/lvm/devices/system.devices", "/boot/grub/device.map"})
        plan.remove(pattern, "a list of the old machine's devices");
}

} // namespace vm2oci
