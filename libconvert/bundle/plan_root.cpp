#include "libconvert/bundle/plan_root.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/kernel_command_lines.hpp"
#include "libconvert/edit/plan_builder.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/guest/device_name.hpp"
#include "libconvert/guest/fstab.hpp"
#include "libconvert/guest/missing_mounts.hpp"
#include "libconvert/guest/mount_units.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::string_view kMark = "# not in this bundle: ";

bool names_block_device(std::string_view device) {
    return device.starts_with("/dev/") || device.find('=') != std::string_view::npos;
}

class FstabMender {
  public:
    FstabMender(const DiskLayout& layout, const RootDisk& root, BundleRootKind kind,
                std::vector<std::pair<std::string, std::string>> crypttab)
        : layout_(layout), root_(root), kind_(kind), crypttab_(std::move(crypttab)) {}

    // Whether an entry, or a unit like one, would have the guest wait for what does not come along.
    bool is_left_behind(const FstabEntry& entry) const {
        const auto volume = find_below(entry.device);
        const bool inside = volume && *volume == root_.volumes.front();
        if (inside && root_.shape == RootShape::slice && entry.type != "swap")
            return false;
        return volume || is_on_another_disk(entry) || is_swap_without_place(entry);
    }

    std::string mend(std::string_view text) const {
        std::string out;
        for (const std::string_view line : lines_of(text)) {
            const std::vector<FstabEntry> entries = parse_fstab(line);
            out += entries.empty() ? std::string(line) : mend_line(std::string(line), entries.front());
            out += '\n';
        }
        return out;
    }

  private:
    std::string mend_line(const std::string& line, const FstabEntry& entry) const {
        const std::string place = normalise_path(entry.mount_point);
        if (place == "/" && entry.mount_point.starts_with("/"))
            return kind_ == BundleRootKind::erofs ? std::string(kMark) + line : root_line(line, entry);
        if (is_left_behind(entry))
            return std::string(kMark) + line;
        // Sub-volumes of the file system that the root is.
        const auto volume = find_below(entry.device);
        return volume && *volume == root_.volumes.front() ? with_device(line, entry) : line;
    }

    // What crypttab maps goes with what it maps, where that is not open.
    std::optional<std::size_t> find_below(const std::string& device) const {
        if (const auto volume = find_volume(layout_, device))
            return volume;
        if (const std::string mapped = mapper_device(device); !mapped.empty())
            for (const auto& [name, below] : crypttab_)
                if (name == mapped)
                    return find_volume(layout_, below);
        return std::nullopt;
    }

    // The machine of a bundle has one disk. What the guest mounts by hand alone does not wait for another.
    static bool is_on_another_disk(const FstabEntry& entry) {
        if (!names_block_device(entry.device) || has_option(entry, "noauto") || entry.device.starts_with("/dev/zram"))
            return false;
        return entry.type == "swap" || kind_of_entry(entry) == EntryKind::disk;
    }

    // The kernel swaps to no file on a layer over another file system.
    bool is_swap_without_place(const FstabEntry& entry) const {
        return entry.type == "swap" && kind_ == BundleRootKind::erofs && entry.device.starts_with("/") &&
               !entry.device.starts_with("/dev/");
    }

    std::string root_line(const std::string& line, const FstabEntry& entry) const {
        if (root_.shape == RootShape::slice || entry.type == root_.type || entry.type == "auto")
            return with_device(line, entry);
        // Another kind of file system has other options.
        return fmt::format("UUID={} / {} errors=remount-ro 0 1", root_.uuid, root_.type);
    }

    // UUID and label are the file system's own and came along; partitions and volume groups did not.
    std::string with_device(const std::string& line, const FstabEntry& entry) const {
        if (names_file_system(entry.device) || root_.uuid.empty())
            return line;
        const std::size_t begin = line.find_first_not_of(" \t");
        const std::size_t end = std::min(line.find_first_of(" \t", begin), line.size());
        return line.substr(0, begin) + "UUID=" + root_.uuid + line.substr(end);
    }

    static bool names_file_system(std::string_view device) {
        return device.starts_with("UUID=") || device.starts_with("LABEL=") ||
               device.starts_with("/dev/disk/by-uuid/") || device.starts_with("/dev/disk/by-label/");
    }

    const DiskLayout& layout_;
    const RootDisk& root_;
    BundleRootKind kind_;
    std::vector<std::pair<std::string, std::string>> crypttab_;
};

// systemd waits for what a line names, on whatever disk that was, unless it is opened by hand alone. Files that are
// encrypted come along.
bool is_left_behind(const DiskLayout& layout, const std::vector<std::string>& words) {
    constexpr std::size_t options_at = 3;
    if (words.size() < 2 || words[0].starts_with("#"))
        return false;
    if (find_volume(layout, words[1]))
        return true;
    const std::string options = words.size() > options_at ? "," + words[options_at] + "," : "";
    return names_block_device(words[1]) && options.find(",noauto,") == std::string::npos;
}

void plan_crypttab(PlanBuilder& plan, const DiskLayout& layout) {
    const char* path = "/etc/crypttab";
    const auto text = plan.read_text(path);
    if (!text)
        return;
    std::string out;
    for (const std::string_view line : lines_of(*text)) {
        out += (is_left_behind(layout, words_of(line)) ? std::string(kMark) : "") + std::string(line) + "\n";
    }
    if (out != *text)
        plan.write(path, out, "names partitions that are left behind");
}

// Masked, as an administrator would: what they mount is joined or left behind.
void plan_mount_units(PlanBuilder& plan, const FstabMender& mender) {
    for (const UnitOrigin origin : {UnitOrigin::administrator, UnitOrigin::vendor})
        for (const MountUnit& unit : read_mount_units(plan.guest(), origin))
            if (mender.is_left_behind(unit.entry))
                plan.make_symlink("/etc/systemd/system" + unit.file.substr(unit.file.rfind('/')), "/dev/null",
                                  "what the unit mounts is joined or left behind");
}

} // namespace

std::vector<std::string> without_old_devices(std::vector<std::string> words, RootShape shape) {
    constexpr std::string_view kPrefixes[] = {
        "root=",      "rootfstype=", "resume=",          "resume_offset=", "rd.lvm.lv=",
        "rd.lvm.vg=", "rd.md.uuid=", "rd.dm.uuid=",      "rd.luks.uuid=",  "rd.luks.name=",
        "luks.uuid=", "luks.name=",  "rd.luks.options=", "luks.options=",  "rd.luks.key=",
        "luks.key=",  "cryptopts=",  "cryptdevice=",     "cryptkey=",      "lvmwait="};
    std::erase_if(words, [&](const std::string& word) {
        return (shape == RootShape::joined && word.starts_with("rootflags=")) ||
               std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                           [&](std::string_view prefix) { return word.starts_with(prefix); });
    });
    return words;
}

EditPlan plan_lone_root(const Guest& guest, const DiskLayout& layout, const RootDisk& root, BundleRootKind kind) {
    PlanBuilder plan(guest, MissingMounts::ignore);
    plan.begin("bundle");
    const FstabMender mender(layout, root, kind, parse_crypttab(plan.read_text("/etc/crypttab").value_or("")));
    if (const auto text = plan.read_text("/etc/fstab")) {
        const std::string mended = mender.mend(*text);
        if (mended != *text && mended != *text + "\n")
            plan.write("/etc/fstab", mended, "the root stands alone: other partitions are joined or left behind");
    }
    plan_crypttab(plan, layout);
    plan_mount_units(plan, mender);
    const char* resume = "/etc/initramfs-tools/conf.d/resume";
    if (const auto text = plan.read_text(resume))
        if (names_block_device(shell_value(*text, "RESUME")))
            plan.write(resume, "RESUME=none\n", "the swap to resume from is left behind");
    if (!root.uuid.empty())
        change_kernel_command_lines(
            plan,
            [&](std::vector<std::string> words) {
                const auto old = std::find_if(words.begin(), words.end(),
                                              [](const std::string& word) { return word.starts_with("root="); });
                if (old == words.end())
                    return words;
                const auto at = old - words.begin();
                std::vector<std::string> kept = without_old_devices(words, root.shape);
                kept.insert(kept.begin() + std::min<std::ptrdiff_t>(at, static_cast<std::ptrdiff_t>(kept.size())),
                            "root=UUID=" + root.uuid);
                return kept;
            },
            "the root is the whole disk");
    return std::move(plan).finish();
}

EditPlan plan_kernel_modules(const Guest& guest, const std::filesystem::path& modules) {
    namespace fs = std::filesystem;
    std::vector<fs::path> lists;
    std::error_code error;
    for (fs::recursive_directory_iterator at(modules, error), end; !error && at != end; at.increment(error))
        if (at->is_regular_file())
            lists.push_back(at->path());
    if (error || lists.empty())
        fail(ErrorKind::not_found, modules.string() + " holds no lists of what is built into the kernel: " +
                                       (error ? error.message() : "it is empty"));
    std::sort(lists.begin(), lists.end()); // folders name their entries in any order
    PlanBuilder plan(guest, MissingMounts::ignore);
    plan.begin("bundle");
    FileAttributes attributes;
    attributes.permissions = 0644;
    for (const fs::path& list : lists)
        plan.write_host_file(("/lib/modules" / list.lexically_relative(modules)).string(), list, fs::file_size(list),
                             "tells what is built into the kernel", attributes);
    return std::move(plan).finish();
}

} // namespace vm2oci
