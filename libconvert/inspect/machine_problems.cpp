#include "libconvert/inspect/machine_problems.hpp"

#include "formats/base/escape.hpp"
#include "libconvert/guest/missing_mounts.hpp"
#include "libconvert/inspect/parts.hpp"

#include <fmt/format.h>
#include <fnmatch.h>
#include <re2/re2.h>

#include <algorithm>
#include <set>

namespace vm2oci {
namespace {

class ProblemFinder {
  public:
    explicit ProblemFinder(const OpenedGuest& opened) : opened_(opened), layout_(opened.layout) {}

    std::vector<MachineProblem> find() {
        find_sector_size();
        find_suspended();
        if (!opened_.guest || opened_.windows)
            return std::move(problems_);
        boot_ = inspect::read_boot(opened_, LargeFiles::leave);
        find_missing_devices();
        find_shares_of_host();
        find_lost_resume();
        find_lvm_filters();
        find_lonely_esp();
        find_interface_names();
        return std::move(problems_);
    }

  private:
    void tell(std::string id, std::string text, std::string about = {}) {
        if (std::none_of(problems_.begin(), problems_.end(),
                         [&](const MachineProblem& known) { return known.text == text; }))
            problems_.push_back({std::move(id), std::move(text), std::move(about)});
    }

    void find_sector_size() {
        if (layout_.table.kind == TableKind::gpt && layout_.table.sector_size != 512)
            tell("sector-size",
                 fmt::format("the partition table counts sectors of {} bytes: the machine's disk must have them too "
                             "(KubeVirt: blockSize.custom with logical and physical {}; QEMU: logical_block_size), and "
                             "most BIOSes do not boot from such disks",
                             layout_.table.sector_size, layout_.table.sector_size));
    }

    void find_suspended() {
        for (const Volume& volume : layout_.volumes)
            if (volume.signature && volume.signature->type == "swsuspend")
                tell("suspended",
                     fmt::format("{} holds the memory of a suspended system: its file systems are as a running machine "
                                 "left them, and what starts elsewhere must not resume; start the machine, shut it "
                                 "down and copy it again, or boot with noresume",
                                 escape_untrusted(volume.name)));
    }

    // What is not readable may hold what an entry names.
    bool may_be_hidden(std::string_view device) const {
        // The name of what LUKS encrypts may come from the initrd or the kernel's command line.
        const bool is_mapped = !mapper_device(device).empty();
        const bool is_opaque = std::any_of(layout_.volumes.begin(), layout_.volumes.end(), [&](const Volume& volume) {
            const ContentKind kind = volume.signature ? volume.signature->kind : ContentKind::file_system;
            return (kind == ContentKind::encrypted && (is_mapped || volume.containment != Containment::read)) ||
                   (kind == ContentKind::raid && volume.containment != Containment::read);
        });
        const bool by_disk = parse_disk_device(device).has_value() || device.starts_with("PARTUUID=") ||
                             device.starts_with("PARTLABEL=") || device.starts_with("/dev/disk/by-partuuid/") ||
                             device.starts_with("/dev/disk/by-partlabel/");
        if (by_disk)
            return false;
        // Volumes of LVM that are not linear have no file systems here; a remark tells of them.
        const bool is_partial_lvm =
            std::any_of(layout_.volumes.begin(), layout_.volumes.end(),
                        [](const Volume& volume) {
                            return volume.signature && volume.signature->kind == ContentKind::volume_group;
                        }) &&
            !layout_.remarks.empty();
        return is_opaque || is_partial_lvm;
    }

    void find_missing_devices() {
        for (std::size_t i = 0; i < opened_.fstab.size(); ++i) {
            const FstabEntry& entry = opened_.fstab[i];
            const bool is_swap = entry.type == "swap";
            const std::string& device = entry.device;
            const bool is_local = device.starts_with("/dev/") || device.starts_with("UUID=") ||
                                  device.starts_with("LABEL=") || device.starts_with("PARTUUID=") ||
                                  device.starts_with("PARTLABEL=") || device.starts_with("ID=");
            if (opened_.fstab_volumes[i] || !is_local || device == "/dev/root" || device.starts_with("/dev/zram") ||
                device.starts_with("/dev/zvol/") || need_of_entry(entry) == MountNeed::optional ||
                (!is_swap && kind_of_entry(entry) != EntryKind::disk) || may_be_hidden(device))
                continue;
            if (is_swap)
                tell("missing-device", fmt::format("/etc/fstab has swap on {}, which is not on this disk: the boot "
                                                   "waits 90 s for it; remove the line or add nofail",
                                                   escape_untrusted(device)));
            else
                tell("missing-device",
                     fmt::format("/etc/fstab mounts {} from {}, which is not on this disk: without it the boot ends in "
                                 "emergency mode; add nofail, or give the machine that disk",
                                 escape_untrusted(entry.mount_point), escape_untrusted(device)));
        }
    }

    // Folders of the host that the hypervisor of old lent. Without its driver the mount fails, and so does the boot.
    void find_shares_of_host() {
        for (const FstabEntry& entry : opened_.fstab) {
            const bool is_share = is_share_of_host(entry) || entry.type == "9p" || entry.type == "virtiofs";
            if (!is_share || has_option(entry, "nofail") || has_option(entry, "noauto"))
                continue;
            const std::string about = "/etc/fstab mounts " + escape_untrusted(entry.mount_point);
            tell("host-share",
                 fmt::format("{} of the old host ({}): elsewhere that fails, and the boot may end in emergency mode; "
                             "add nofail, or remove the line",
                             about, escape_untrusted(entry.type)),
                 about);
        }
    }

    void check_resume(const std::string& device, const std::string& where) {
        if (device.empty() || device == "none" || device == "auto" || device == "0" || device.starts_with("$") ||
            may_be_hidden(device))
            return;
        const auto volume = find_volume(layout_, device);
        if (!volume)
            tell("lost-resume", fmt::format("{} resumes from {}, which is not on this disk: the boot waits for it, by "
                                            "initrds of Debian and Ubuntu 30 s; remove it, or boot with noresume",
                                            where, escape_untrusted(device)));
    }

    void find_lost_resume() {
        for (const std::string& line : boot_.command_lines) {
            const std::vector<std::string> words = inspect::split_words(line);
            if (std::find(words.begin(), words.end(), "noresume") != words.end())
                continue;
            for (const std::string& word : words)
                if (word.starts_with("resume="))
                    check_resume(word.substr(7), "the kernel's command line");
        }
        // Any file of the folder may say it (initramfs.conf(5)).
        const std::string folder = "/etc/initramfs-tools/conf.d";
        for (const std::string& name : inspect::list_folder(*opened_.guest, folder)) {
            const std::string path = fmt::format("{}/{}", folder, name);
            check_resume(inspect::find_assignment(inspect::parse_assignments(inspect::read_lines(*opened_.guest, path)),
                                                  "RESUME"),
                         escape_untrusted(path));
        }
    }

    std::string name_on_another_machine(const Volume& volume) const {
        std::string name = fmt::format("/dev/vd{}", static_cast<char>('a' + volume.disk % 26));
        if (const Partition* partition = partition_of(layout_, volume))
            name += std::to_string(partition->number);
        return name;
    }

    void find_lvm_filters() {
        std::vector<std::string> members; // as another machine calls them
        for (const Volume& volume : layout_.volumes)
            if (volume.signature && volume.signature->kind == ContentKind::volume_group && lies_on_disk(volume))
                members.push_back(name_on_another_machine(volume));
        if (members.empty())
            return;
        for (const char* path : {"/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf"}) {
            const std::string text = try_read_text(*opened_.guest, path).value_or("");
            for (const std::string& device : members) {
                if (!lvm_takes_device(text, device))
                    tell("lvm-filter", fmt::format("the filter in {} shuts out {}, which the volume group is on in "
                                                   "another machine: remove the filter, and make the initrd anew",
                                                   path, device));
            }
        }
        const char* list = "/etc/lvm/devices/system.devices";
        for (const std::string& line : inspect::read_lines(*opened_.guest, list))
            if (line.find("IDTYPE=") != std::string::npos && line.find("IDNAME=/dev/vda") == std::string::npos) {
                tell("lvm-devices", fmt::format("{} names the old machine's disks, and LVM uses no other: the fix "
                                                "'devices' removes it",
                                                list));
                break;
            }
    }

    void find_lonely_esp() {
        if (boot_.efi_programs.empty() || !boot_.efi_fallback.empty())
            return;
        const std::vector<GuestMount> mounts = opened_.guest->mounts();
        for (const Volume& volume : layout_.volumes) {
            const Partition* partition = partition_of(layout_, volume);
            if (partition == nullptr || !is_efi_system(*partition))
                continue;
            if (std::none_of(mounts.begin(), mounts.end(),
                             [&](const GuestMount& mount) { return mount.volume == volume.name; }))
                tell("efi-fallback",
                     fmt::format("UEFI firmware of another machine finds no boot loader: {} has no "
                                 "EFI/BOOT fallback, and the fix 'uefi' does not reach it, as fstab does "
                                 "not mount it; name it in fstab (/boot/efi), or copy the boot loader",
                                 escape_untrusted(volume.name)));
        }
    }

    void find_interface_names() {
        const bool keeps_old_names =
            std::any_of(boot_.command_lines.begin(), boot_.command_lines.end(), [](const std::string& line) {
                const std::vector<std::string> words = inspect::split_words(line);
                return std::find(words.begin(), words.end(), "net.ifnames=0") != words.end();
            });
        // By the fix 'network', the cards are called as the settings expect.
        const std::vector<std::string> pinned = inspect::split_words(inspect::find_assignment(
            inspect::parse_assignments(inspect::read_lines(*opened_.guest, "/usr/local/lib/vm2oci/interface-name")),
            "names"));
        for (const NetworkInterface& interface : inspect::read_network(*opened_.guest)) {
            const std::string file = escape_untrusted(interface.file);
            if (!interface.driver.empty() && !takes_virtio_cards(interface.driver))
                tell("interface-driver",
                     fmt::format("{} is for interfaces with the driver {}, and this machine's has virtio_net", file,
                                 escape_untrusted(interface.driver)),
                     file);
            if (!interface.mac.empty() || !interface.driver.empty() || interface.stack == "udev" ||
                interface.stack == "link" || std::find(pinned.begin(), pinned.end(), interface.name) != pinned.end())
                continue;
            const std::string_view origin = origin_of_interface_name(interface.name);
            if (!origin.empty())
                tell("interface-name",
                     fmt::format("{} is for the interface {}, a name of {}: it is called otherwise on another machine",
                                 file, escape_untrusted(interface.name), origin),
                     file);
            else if (interface.name == "eth0" && !keeps_old_names && names_by_slot())
                tell(
                    "interface-name",
                    fmt::format("{} is for the interface eth0, as Xen and Hyper-V call it: here systemd names it after "
                                "its slot (enp1s0), unless the kernel is told net.ifnames=0",
                                file),
                    file);
        }
    }

    // The rules of systemd from 197 on, unless masked.
    bool names_by_slot() const {
        for (const char* rule : {"/etc/udev/rules.d/80-net-setup-link.rules", "/etc/systemd/network/99-default.link",
                                 "/etc/udev/rules.d/80-net-name-slot.rules"})
            if (opened_.guest->read_link(rule).value_or("") == "/dev/null")
                return false;
        return exists(*opened_.guest, "/usr/lib/systemd/network/99-default.link") ||
               exists(*opened_.guest, "/lib/systemd/network/99-default.link");
    }

    const OpenedGuest& opened_;
    const DiskLayout& layout_;
    BootInfo boot_;
    std::vector<MachineProblem> problems_;
};

// The strings of `key = [ "a|…|", "r|…|" ]`, the last assignment that is no comment.
std::optional<std::vector<std::string>> read_lvm_list(std::string_view text, std::string_view key) {
    std::optional<std::vector<std::string>> list;
    bool in_list = false;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        at = end + 1;
        const std::size_t begin = line.find_first_not_of(" \t");
        if (begin == std::string_view::npos || line[begin] == '#')
            continue;
        line.remove_prefix(begin);
        if (!in_list) {
            if (!line.starts_with(key))
                continue;
            const std::size_t equals = line.find_first_not_of(" \t", key.size());
            if (equals == std::string_view::npos || line[equals] != '=')
                continue;
            list.emplace();
            line.remove_prefix(equals + 1);
        }
        for (std::size_t i = 0; i < line.size() && line[i] != '#'; ++i) {
            if (line[i] == '[')
                in_list = true;
            if (line[i] == ']') {
                in_list = false;
                break;
            }
            if (line[i] != '"')
                continue;
            const std::size_t close = line.find('"', i + 1);
            if (close == std::string_view::npos)
                break;
            list->emplace_back(line.substr(i + 1, close - i - 1));
            i = close;
        }
    }
    return list;
}

} // namespace

bool lvm_takes_device(std::string_view lvm_configuration, const std::string& device) {
    for (const std::string_view key : {"filter", "global_filter"}) {
        const auto patterns = read_lvm_list(lvm_configuration, key);
        if (!patterns)
            continue;
        for (const std::string& pattern : *patterns) {
            if (pattern.size() < 3 || (pattern[0] != 'a' && pattern[0] != 'r'))
                continue;
            // The delimiter is any character; brackets close by their partners.
            constexpr std::string_view kOpen = "([{<";
            constexpr std::string_view kClose = ")]}>";
            const std::size_t bracket = kOpen.find(pattern[1]);
            const char close = bracket == std::string_view::npos ? pattern[1] : kClose[bracket];
            const std::size_t end = pattern.rfind(close);
            if (end <= 1)
                continue;
            const re2::RE2 expression(pattern.substr(2, end - 2), re2::RE2::Quiet);
            if (!expression.ok() || !re2::RE2::PartialMatch(device, expression))
                continue;
            if (pattern[0] == 'r')
                return false;
            break;
        }
    }
    return true;
}

bool takes_virtio_cards(std::string_view drivers) {
    // Blanks or semicolons lie between them. systemd inverts the list by a "!" in front.
    std::string list(drivers);
    std::replace_if(
        list.begin(), list.end(), [](char c) { return c == ';' || c == ','; }, ' ');
    const std::vector<std::string> words = inspect::split_words(list);
    const bool inverted = !words.empty() && words.front().starts_with("!");
    const bool named = std::any_of(words.begin(), words.end(), [](const std::string& word) {
        return fnmatch(word.substr(word.starts_with("!") ? 1 : 0).c_str(), "virtio_net", 0) == 0;
    });
    return words.empty() || named != inverted;
}

std::string_view origin_of_interface_name(std::string_view name) {
    constexpr std::pair<const char*, std::string_view> kOrigins[] = {
        {"enX[0-9]+", "Xen's network driver"},
        {"em[0-9]+(_[0-9]+)?", "biosdevname, after a port on the main board"},
        {"p[0-9]+p[0-9]+(_[0-9]+)?", "biosdevname, after a slot"},
    };
    for (const auto& [expression, origin] : kOrigins)
        if (re2::RE2::FullMatch(std::string(name), expression))
            return origin;
    return {};
}

std::vector<MachineProblem> find_machine_problems(const OpenedGuest& opened) {
    return ProblemFinder(opened).find();
}

} // namespace vm2oci
