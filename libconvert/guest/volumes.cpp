#include "libconvert/guest/volumes.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "formats/block/slice.hpp"
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

using Matches = std::function<bool(const Volume&)>;

std::optional<std::size_t> first_match(const DiskLayout& layout, const Matches& matches) {
    const auto found = std::find_if(layout.volumes.begin(), layout.volumes.end(), matches);
    if (found == layout.volumes.end())
        return std::nullopt;
    return static_cast<std::size_t>(found - layout.volumes.begin());
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

std::optional<std::size_t> find_on_disk(const DiskLayout& layout, const DiskDeviceName& name) {
    const std::optional<std::size_t> place = place_of_disk(layout.guest_disks, name.disk);
    if (!place)
        return std::nullopt;
    const std::size_t disk = disk_at_place(layout, *place);
    // Xen hands its guests file systems without a partition table around them, under the names of partitions.
    const unsigned lone = *place == 0 ? layout.guest_disks.lone_partition.value_or(1) : 1;
    return first_match(layout, [&](const Volume& v) {
        if (v.disk != disk)
            return false;
        const Partition* partition = partition_of(layout, v);
        if (partition != nullptr)
            return partition->number == name.partition;
        return v.logical_volume.empty() && (name.partition == 0 || name.partition == lone);
    });
}

bool is_array(const Volume& volume) {
    return volume.signature && volume.signature->kind == ContentKind::raid;
}

// mdadm writes the four words of an array's identifier with colons.
std::string hexadecimal_digits(std::string_view text) {
    std::string digits;
    for (const char c : to_lower_ascii(text))
        if (std::isxdigit(static_cast<unsigned char>(c)) != 0)
            digits += c;
    return digits;
}

// "md0", "md/root", "md127", "disk/by-id/md-uuid-…", "disk/by-id/md-name-host:root"; the array itself, not its
// partitions. Numbers come and go; they tell nothing where there is more than one array.
std::optional<std::size_t> find_array(const DiskLayout& layout, std::string_view name) {
    constexpr std::string_view kByUuid = "disk/by-id/md-uuid-";
    constexpr std::string_view kByName = "disk/by-id/md-name-";
    if (name.starts_with(kByUuid)) {
        const std::string uuid = hexadecimal_digits(name.substr(kByUuid.size()));
        return first_match(layout, [&](const Volume& v) {
            return is_array(v) && !uuid.empty() && hexadecimal_digits(v.signature->uuid) == uuid;
        });
    }
    std::string_view wanted = name;
    if (name.starts_with(kByName))
        wanted.remove_prefix(kByName.size());
    else if (name.starts_with("md/"))
        wanted.remove_prefix(3);
    else if (name.starts_with("md") && name.size() > 2 &&
             name.find_first_not_of("0123456789", 2) == std::string_view::npos)
        wanted.remove_prefix(2);
    else
        return std::nullopt;
    const auto by_name = first_match(layout, [&](const Volume& v) {
        if (!is_array(v))
            return false;
        const std::string& label = v.signature->label; // "host:name"
        return label == wanted || std::string_view(label).substr(label.find(':') + 1) == wanted;
    });
    if (by_name)
        return by_name;
    const auto first = first_match(layout, is_array);
    const bool is_number = wanted.find_first_not_of("0123456789") == std::string_view::npos;
    const bool is_only = first && std::none_of(layout.volumes.begin(), layout.volumes.end(), [&](const Volume& v) {
                             return is_array(v) && v.signature->uuid != layout.volumes[*first].signature->uuid;
                         });
    return is_number && is_only ? first : std::nullopt;
}

std::optional<std::size_t> find_logical_volume(const DiskLayout& layout, std::string_view specification) {
    constexpr std::string_view kByUuid = "/dev/disk/by-id/dm-uuid-";
    const std::string mapped = mapper_device(specification);
    return first_match(layout, [&](const Volume& v) {
        if (v.logical_volume.empty())
            return false;
        return specification == "/dev/" + v.logical_volume ||
               (!mapped.empty() && mapped == mapper_name(v.logical_volume)) ||
               (specification.starts_with(kByUuid) && specification.substr(kByUuid.size()) == v.mapper_uuid);
    });
}

std::optional<std::size_t> find_device(const DiskLayout& layout, std::string_view specification) {
    if (const std::optional<DiskDeviceName> name = parse_disk_device(specification))
        return find_on_disk(layout, *name);
    if (const auto logical = find_logical_volume(layout, specification))
        return logical;
    constexpr std::string_view kMember = "/dev/disk/by-id/lvm-pv-uuid-";
    if (specification.starts_with(kMember))
        return first_match(layout, [&](const Volume& v) {
            return v.signature && v.signature->kind == ContentKind::volume_group &&
                   v.signature->uuid == specification.substr(kMember.size());
        });
    return find_array(layout, specification.substr(std::string_view("/dev/").size()));
}

void add_logical_volumes(DiskLayout& layout) {
    std::vector<LvmPhysicalVolume> members;
    std::map<std::string, std::uint64_t> places; // where each physical volume begins on the disk
    for (const Volume& volume : layout.volumes) {
        if (!volume.signature || volume.signature->kind != ContentKind::volume_group)
            continue;
        members.push_back({volume.signature->uuid, volume.device});
        places[volume.signature->uuid] = volume.segments.front().disk_offset;
    }
    if (members.empty())
        return;
    LvmFindings findings = read_volume_groups(members);
    for (LvmLogicalVolume& found : findings.volumes) {
        Volume volume;
        volume.logical_volume = found.group + "/" + found.name;
        volume.name = "logical volume " + volume.logical_volume;
        volume.mapper_uuid = found.mapper_uuid;
        volume.device = found.device;
        volume.signature = probe_signature(*volume.device);
        for (const LvmSegment& segment : found.segments)
            volume.segments.push_back(
                {segment.offset, places.at(segment.uuid) + segment.physical_offset, segment.length});
        layout.volumes.push_back(std::move(volume));
    }
    for (const LvmFreeSpace& free : findings.free)
        layout.free_extents.push_back({places.at(free.uuid) + free.offset, free.length});
    layout.remarks.insert(layout.remarks.end(), findings.remarks.begin(), findings.remarks.end());
}

// `offset`: where the disk begins on the device.
void add_disk(DiskLayout& layout, const PartitionTable& table, const std::shared_ptr<const BlockDevice>& disk,
              std::size_t index, std::uint64_t offset) {
    const std::string front = index == 0 ? "" : fmt::format("disk {}, ", index + 1);
    for (std::size_t i = 0; i < table.partitions.size(); ++i) {
        const Partition& partition = table.partitions[i];
        if (partition.role == PartitionRole::extended)
            continue;
        Volume volume;
        volume.name = fmt::format("{}partition {}", front, partition.number);
        volume.device = open_partition(disk, partition);
        volume.signature = probe_signature(*volume.device);
        volume.disk = index;
        volume.partition = i;
        volume.segments = {{0, offset + partition.offset, partition.length}};
        layout.volumes.push_back(std::move(volume));
    }
    if (table.kind != TableKind::none)
        return;
    if (std::optional<Signature> signature = probe_signature(*disk)) {
        Volume volume;
        volume.name = index == 0 ? "whole disk" : fmt::format("disk {}", index + 1);
        volume.device = disk;
        volume.signature = std::move(signature);
        volume.disk = index;
        volume.segments = {{0, offset, disk->size()}};
        layout.volumes.push_back(std::move(volume));
    }
}

// The machine boots without it: what it cannot tell is told.
PartitionTable read_further_table(const BlockDevice& disk, std::size_t index, DiskLayout& layout) {
    PartitionTable table;
    try {
        table = read_partitions(disk);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::limit)
            throw;
        table.remarks = {error.what()};
    }
    for (const std::string& remark : table.remarks)
        layout.remarks.push_back(fmt::format("disk {}: {}", index + 1, remark));
    return table;
}

} // namespace

const Partition* partition_of(const DiskLayout& layout, const Volume& volume) {
    if (!volume.partition)
        return nullptr;
    const PartitionTable& table = volume.disk == 0 ? layout.table : layout.further_tables.at(volume.disk - 1);
    return &table.partitions.at(*volume.partition);
}

DiskLayout examine_layout(const std::shared_ptr<const BlockDevice>& device, const std::vector<std::uint64_t>& sizes) {
    DiskLayout layout;
    std::shared_ptr<const BlockDevice> first = device;
    if (sizes.size() > 1)
        first = std::make_shared<SliceDevice>(device, 0, sizes.front());
    layout.table = read_partitions(*first);
    layout.remarks = layout.table.remarks;
    add_disk(layout, layout.table, first, 0, 0);
    std::uint64_t offset = first->size();
    for (std::size_t i = 1; i < sizes.size(); ++i) {
        const auto disk = std::make_shared<SliceDevice>(device, offset, sizes[i]);
        layout.further_tables.push_back(read_further_table(*disk, i, layout));
        add_disk(layout, layout.further_tables.back(), disk, i, offset);
        offset += sizes[i];
    }
    add_logical_volumes(layout);
    return layout;
}

std::size_t place_in_layout(const DiskLayout& layout, std::size_t disk) {
    if (disk == layout.root_disk)
        return 0;
    return disk < layout.root_disk ? disk + 1 : disk;
}

std::size_t disk_at_place(const DiskLayout& layout, std::size_t place) {
    if (place == 0)
        return layout.root_disk;
    return place <= layout.root_disk ? place - 1 : place;
}

std::optional<std::size_t> find_volume(const DiskLayout& layout, std::string_view specification) {
    if (const std::size_t equals = specification.find('=');
        equals != std::string_view::npos && !specification.starts_with("/") && !specification.starts_with("ID=")) {
        std::string_view value = specification.substr(equals + 1);
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
            value = value.substr(1, value.size() - 2);
        return find_tagged(layout, specification.substr(0, equals), decode_udev(value));
    }
    // What crypttab maps is what lies below: a volume that nothing here can read.
    if (const std::string mapped = mapper_device(specification); !mapped.empty())
        for (const auto& [name, device] : layout.guest_disks.mapped)
            if (name == mapped && mapper_device(device) != name)
                return find_volume(layout, device);
    constexpr std::string_view kByPath = "/dev/disk/";
    if (specification.starts_with(kByPath)) {
        const std::string_view rest = specification.substr(kByPath.size());
        const std::size_t slash = rest.find('/');
        if (slash == std::string_view::npos)
            return std::nullopt;
        if (const auto tagged = find_tagged(layout, rest.substr(0, slash), decode_udev(rest.substr(slash + 1))))
            return tagged;
    }
    return specification.starts_with("/dev/") || specification.starts_with("ID=") ? find_device(layout, specification)
                                                                                  : std::nullopt;
}

void learn_guest_disks(DiskLayout& layout, std::size_t root, const std::vector<FstabEntry>& fstab,
                       const std::vector<std::string>& root_names,
                       std::vector<std::pair<std::string, std::string>> crypttab) {
    GuestDisks& disks = layout.guest_disks;
    layout.root_disk = layout.volumes[root].disk;
    disks.mapped = std::move(crypttab);
    const Partition* own = partition_of(layout, layout.volumes[root]);
    const auto learn = [&](const std::string& device, bool is_root) {
        const std::optional<DiskDeviceName> name = parse_disk_device(device);
        if (!name)
            return;
        // The root's own name must fit where the root was found; else it tells of another machine, or of a copy.
        if (is_root && own != nullptr && own->number != name->partition)
            return;
        if (is_root && own == nullptr && layout.volumes[root].logical_volume.empty())
            disks.lone_partition = name->partition;
        if (std::find(disks.own.begin(), disks.own.end(), name->disk) == disks.own.end())
            disks.own.push_back(name->disk);
    };
    for (const FstabEntry& entry : fstab)
        if (entry.mount_point == "/")
            learn(entry.device, true);
    for (const std::string& name : root_names)
        learn(name, true);
    // Firmware starts what lies on the disk that it boots from.
    for (const FstabEntry& entry : fstab) {
        const std::string place = normalise_path(entry.mount_point);
        const auto name = parse_disk_device(entry.device);
        if (name && disks.own.empty() && !is_named_by_order(name->disk) &&
            (place == "/boot" || place == "/boot/efi" || place == "/efi"))
            learn(entry.device, false);
    }
}

} // namespace vm2oci
