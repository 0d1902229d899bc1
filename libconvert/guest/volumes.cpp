#include "libconvert/guest/volumes.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "formats/lvm/volume_group.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <map>

namespace vm2oci {
namespace {

// udev and fstab write unusual characters as \xNN (udev) or \NNN (fstab decodes those itself).
std::string decode_udev(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto digit = [&](std::size_t at) { return std::isxdigit(static_cast<unsigned char>(text[at])) != 0; };
        if (text[i] == '\\' && i + 3 < text.size() && text[i + 1] == 'x' && digit(i + 2) && digit(i + 3)) {
            out += static_cast<char>(std::stoi(std::string(text.substr(i + 2, 2)), nullptr, 16));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

// /dev/mapper doubles the dashes inside the names of group and volume.
std::string mapper_name(std::string_view group_and_volume) {
    std::string out;
    for (const char c : group_and_volume) {
        if (c == '-')
            out += "--";
        else
            out += c == '/' ? '-' : c;
    }
    return out;
}

// "sda3" → 3, "nvme0n1p2" → 2; 0: the whole first disk; nullopt: not a name of the first disk.
std::optional<unsigned> partition_number(std::string_view device) {
    constexpr std::array<std::string_view, 7> kFirstDisks = {"sda", "vda", "xvda", "hda", "nvme0n1", "mmcblk0", "ubda"};
    for (const std::string_view disk : kFirstDisks) {
        if (device.substr(0, disk.size()) != disk)
            continue;
        std::string_view rest = device.substr(disk.size());
        if (rest.empty())
            return 0;
        if (std::isdigit(static_cast<unsigned char>(disk.back())) != 0) {
            if (rest.front() != 'p')
                continue;
            rest.remove_prefix(1);
        }
        if (rest.empty() || rest.size() > 3 || rest.find_first_not_of("0123456789") != std::string_view::npos)
            return std::nullopt;
        return static_cast<unsigned>(std::stoul(std::string(rest)));
    }
    return std::nullopt;
}

using Matches = std::function<bool(const Volume&)>;

std::optional<std::size_t> first_match(const DiskLayout& layout, const Matches& matches) {
    const auto found = std::find_if(layout.volumes.begin(), layout.volumes.end(), matches);
    if (found == layout.volumes.end())
        return std::nullopt;
    return static_cast<std::size_t>(found - layout.volumes.begin());
}

const Partition* partition_of(const DiskLayout& layout, const Volume& volume) {
    return volume.partition ? &layout.table.partitions[*volume.partition] : nullptr;
}

std::optional<std::size_t> find_tagged(const DiskLayout& layout, std::string_view tag, const std::string& value) {
    if (value.empty())
        return std::nullopt;
    if (tag == "UUID" || tag == "by-uuid")
        return first_match(layout, [&](const Volume& v) {
            return v.signature && to_lower_ascii(v.signature->uuid) == to_lower_ascii(value);
        });
    if (tag == "LABEL" || tag == "by-label")
        return first_match(layout, [&](const Volume& v) { return v.signature && v.signature->label == value; });
    if (tag == "PARTUUID" || tag == "by-partuuid")
        return first_match(layout, [&](const Volume& v) {
            const Partition* partition = partition_of(layout, v);
            return partition != nullptr && partition->uuid == to_lower_ascii(value);
        });
    if (tag == "PARTLABEL" || tag == "by-partlabel")
        return first_match(layout, [&](const Volume& v) {
            const Partition* partition = partition_of(layout, v);
            return partition != nullptr && partition->name == value;
        });
    return std::nullopt;
}

std::optional<std::size_t> find_device(const DiskLayout& layout, std::string_view name) {
    if (const std::optional<unsigned> number = partition_number(name))
        return first_match(layout, [&](const Volume& v) {
            const Partition* partition = partition_of(layout, v);
            return partition != nullptr ? partition->number == *number : *number == 0 && v.logical_volume.empty();
        });
    return first_match(layout, [&](const Volume& v) {
        return !v.logical_volume.empty() &&
               (name == v.logical_volume || name == "mapper/" + mapper_name(v.logical_volume));
    });
}

void add_logical_volumes(DiskLayout& layout) {
    std::vector<LvmPhysicalVolume> members;
    std::map<std::string, std::uint64_t> places; // where each physical volume begins on the disk
    for (const Volume& volume : layout.volumes) {
        if (!volume.signature || volume.signature->kind != ContentKind::volume_group)
            continue;
        members.push_back({volume.signature->uuid, volume.device});
        places[volume.signature->uuid] = volume.stretches.front().disk_offset;
    }
    if (members.empty())
        return;
    LvmFindings findings = read_volume_groups(members);
    for (LvmLogicalVolume& found : findings.volumes) {
        Volume volume;
        volume.logical_volume = found.group + "/" + found.name;
        volume.name = "logical volume " + volume.logical_volume;
        volume.device = found.device;
        volume.signature = probe_signature(*volume.device);
        for (const LvmStretch& stretch : found.stretches)
            volume.stretches.push_back(
                {stretch.offset, places.at(stretch.uuid) + stretch.physical_offset, stretch.length});
        layout.volumes.push_back(std::move(volume));
    }
    for (const LvmFreeSpace& free : findings.free)
        layout.free_extents.push_back({places.at(free.uuid) + free.offset, free.length});
    layout.remarks.insert(layout.remarks.end(), findings.remarks.begin(), findings.remarks.end());
}

} // namespace

DiskLayout examine_layout(const std::shared_ptr<const BlockDevice>& disk) {
    DiskLayout layout;
    layout.table = read_partitions(*disk);
    layout.remarks = layout.table.remarks;
    for (std::size_t i = 0; i < layout.table.partitions.size(); ++i) {
        const Partition& partition = layout.table.partitions[i];
        if (partition.role == PartitionRole::extended)
            continue;
        Volume volume;
        volume.name = fmt::format("partition {}", partition.number);
        volume.device = open_partition(disk, partition);
        volume.signature = probe_signature(*volume.device);
        volume.partition = i;
        volume.stretches = {{0, partition.offset, partition.length}};
        layout.volumes.push_back(std::move(volume));
    }
    if (layout.table.kind == TableKind::none) {
        if (std::optional<Signature> signature = probe_signature(*disk)) {
            Volume volume;
            volume.name = "whole disk";
            volume.device = disk;
            volume.signature = std::move(signature);
            volume.stretches = {{0, 0, disk->size()}};
            layout.volumes.push_back(std::move(volume));
        }
    }
    add_logical_volumes(layout);
    return layout;
}

std::optional<std::size_t> find_volume(const DiskLayout& layout, std::string_view specification) {
    if (const std::size_t equals = specification.find('=');
        equals != std::string_view::npos && specification.substr(0, 1) != "/") {
        std::string_view value = specification.substr(equals + 1);
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
            value = value.substr(1, value.size() - 2);
        return find_tagged(layout, specification.substr(0, equals), decode_udev(value));
    }
    constexpr std::string_view kByPath = "/dev/disk/";
    constexpr std::string_view kDevice = "/dev/";
    if (specification.substr(0, kByPath.size()) == kByPath) {
        const std::string_view rest = specification.substr(kByPath.size());
        const std::size_t slash = rest.find('/');
        if (slash == std::string_view::npos)
            return std::nullopt;
        return find_tagged(layout, rest.substr(0, slash), decode_udev(rest.substr(slash + 1)));
    }
    if (specification.substr(0, kDevice.size()) == kDevice)
        return find_device(layout, specification.substr(kDevice.size()));
    return std::nullopt;
}

} // namespace vm2oci
