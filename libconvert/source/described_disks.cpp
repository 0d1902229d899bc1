#include "libconvert/source/described_disks.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/detect.hpp"
#include "formats/block/sibling_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::array<std::string_view, 8> kDiskSuffixes = {".vmdk", ".qcow2", ".img",  ".raw",
                                                           ".vdi",  ".vhd",   ".vhdx", ".qcow"};

std::string_view file_stem(std::string_view name) {
    const std::size_t dot = name.rfind('.');
    return dot == 0 ? "" : name.substr(0, dot);
}

std::optional<DiskFormat> stated_format(const DescribedFile& file) {
    for (const DiskFormat format : kDiskFormats)
        if (file.format == to_string(format))
            return format;
    return std::nullopt;
}

bool is_number(std::string_view text) {
    return !text.empty() && text.size() <= 6 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

class Locator {
  public:
    Locator(MachineDescription& machine, const LocationRequest& request)
        : machine_(machine), request_(request), stands_for_(machine.files.size()) {}

    std::vector<LocatedDisk> locate() {
        if (machine_.files.empty())
            return only_given();
        const std::optional<std::size_t> wanted = wanted_disk();
        match_names();
        std::vector<LocatedDisk> disks;
        for (std::size_t i = 0; i < machine_.files.size(); ++i)
            if (!wanted || *wanted == i)
                disks.push_back(locate_one(i));
        for (std::size_t i = 0; i < request_.given.size(); ++i)
            if (!used_.at(i))
                fail(ErrorKind::usage, fmt::format("{} stands for no disk of the machine, which has {}",
                                                   quote_untrusted(request_.given[i]), names()));
        if (wanted) {
            machine_.hardware.disks = {machine_.hardware.disks[*wanted]};
            disks.front().number = 0;
        }
        return disks;
    }

  private:
    std::vector<LocatedDisk> only_given() {
        if (request_.given.empty())
            fail(ErrorKind::unsupported, "it names no disk of the machine", HintKind::further_disk);
        if (!request_.wanted.empty())
            fail(ErrorKind::usage, "it names no disk of the machine, so none can be chosen");
        std::vector<LocatedDisk> disks;
        for (std::size_t i = 0; i < request_.given.size(); ++i) {
            machine_.hardware.disks.push_back({request_.given[i], "", std::nullopt, std::nullopt, std::nullopt});
            disks.push_back({i, i, nullptr, {}, std::nullopt});
        }
        return disks;
    }

    std::optional<std::size_t> wanted_disk() const {
        const std::string& text = request_.wanted;
        if (text.empty())
            return std::nullopt;
        for (std::size_t i = 0; i < machine_.files.size(); ++i)
            if (text == machine_.hardware.disks[i].id || (is_number(text) && text == std::to_string(i + 1)))
                return i;
        fail(ErrorKind::usage, fmt::format("the machine has no disk {}; it has {}", quote_untrusted(text), names()));
    }

    void match_names() {
        used_.assign(request_.given.size(), false);
        for (std::size_t i = 0; i < request_.given.size(); ++i) {
            const std::string name = last_part(request_.given[i]);
            for (std::size_t disk = 0; disk < machine_.files.size() && !used_[i]; ++disk)
                if (!name.empty() && name == machine_.files[disk].name && !stands_for_[disk]) {
                    stands_for_[disk] = i;
                    used_[i] = true;
                }
        }
    }

    LocatedDisk locate_one(std::size_t number) {
        LocatedDisk disk;
        disk.number = number;
        if (stands_for_[number]) {
            disk.given = stands_for_[number];
            return disk;
        }
        const DescribedFile& file = machine_.files[number];
        std::string_view refusal = "is not opened on a description's word";
        if (is_disk_sibling(request_.description.filename().string(), file.name)) {
            disk.path = request_.description.parent_path() / file.name;
            SiblingFile sibling = open_sibling_file(disk.path, request_.policy);
            disk.sibling = std::move(sibling.file);
            refusal = sibling.refusal;
        }
        if (disk.sibling) {
            disk.format = checked_format(file, *disk.sibling);
            return disk;
        }
        const auto free = std::ranges::find(used_, false);
        if (free == used_.end())
            fail(ErrorKind::unsafe,
                 fmt::format("its disk {} ({}) {}", number + 1, quote_untrusted(machine_.hardware.disks[number].id),
                             where(file, refusal)),
                 HintKind::further_disk);
        *free = true;
        disk.given = static_cast<std::size_t>(free - used_.begin());
        return disk;
    }

    static std::string where(const DescribedFile& file, std::string_view refusal) {
        return file.name.empty() ? "lies " + (file.place.empty() ? "nowhere" : file.place)
                                 : fmt::format("lies in the file {}, which {}", quote_untrusted(file.name), refusal);
    }

    // A guest can write another format's first bytes to its raw disk, and then nobody but the user knows which it is.
    static std::optional<DiskFormat> checked_format(const DescribedFile& file, const BlockDevice& sibling) {
        const std::optional<DiskFormat> stated = stated_format(file);
        if (stated != DiskFormat::raw)
            return stated;
        for (const FormatMatch& match : detect(sibling).matches)
            fail(ErrorKind::unsafe,
                 fmt::format("the file {} is stated to be raw, and looks like {}", quote_untrusted(file.name),
                             match.name),
                 HintKind::further_disk);
        return stated;
    }

    std::string names() const {
        constexpr std::size_t shown = 8;
        std::string text;
        for (std::size_t i = 0; i < std::min(shown, machine_.hardware.disks.size()); ++i) {
            const DescribedFile& file = machine_.files[i];
            text +=
                fmt::format("{}{} {} ({})", i == 0 ? "" : ", ", i + 1, quote_untrusted(machine_.hardware.disks[i].id),
                            file.name.empty() ? file.place : quote_untrusted(file.name));
        }
        return text;
    }

    MachineDescription& machine_;
    const LocationRequest& request_;
    std::vector<std::optional<std::size_t>> stands_for_; // for each disk an index of the files that are given
    std::vector<bool> used_;                             // for each of those
};

} // namespace

bool is_disk_sibling(std::string_view description, std::string_view name) {
    const std::string_view stem = file_stem(description);
    if (stem.empty() || !name.starts_with(stem) || name.find_first_of("/\\") != std::string_view::npos)
        return false;
    const std::string lower = to_lower_ascii(name);
    const auto suffix =
        std::ranges::find_if(kDiskSuffixes, [&](std::string_view candidate) { return lower.ends_with(candidate); });
    if (suffix == kDiskSuffixes.end() || name.size() < stem.size() + suffix->size())
        return false;
    std::string_view ending = name.substr(stem.size(), name.size() - stem.size() - suffix->size());
    constexpr std::size_t snapshot = 7; // "-000001", behind the disk's own number
    if (ending.size() > snapshot && ending[ending.size() - snapshot] == '-' &&
        is_number(ending.substr(ending.size() - snapshot + 1)))
        ending.remove_suffix(snapshot);
    if (ending.empty())
        return true;
    if (ending.front() != '-' && ending.front() != '_')
        return false;
    ending.remove_prefix(1);
    if (ending.starts_with("disk"))
        ending.remove_prefix(4);
    return is_number(ending);
}

std::vector<LocatedDisk> locate_disks(MachineDescription& machine, const LocationRequest& request) {
    return Locator(machine, request).locate();
}

} // namespace vm2oci
