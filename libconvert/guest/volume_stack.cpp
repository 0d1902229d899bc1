#include "libconvert/guest/volume_stack.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/routed_changes.hpp"
#include "formats/luks/volume.hpp"
#include "formats/lvm/volume_group.hpp"
#include "formats/md/array.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxVolumes = 4096;           // a disk that holds more is no machine's
constexpr std::size_t kMaxSegmentSteps = 1'000'000; // of which no machine has a hundredth

bool is_content_error(const Error& error) {
    return error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported ||
           error.kind() == ErrorKind::limit;
}

// Places of volumes that lie in places of others.
class SegmentComposer {
  public:
    // Appends where [lower, lower + length) of what `below` places lies, as if it began at `upper`. False: it is more
    // work than any real disk is.
    bool add(std::vector<VolumeSegment>& out, std::uint64_t upper, const std::vector<VolumeSegment>& below,
             std::uint64_t lower, std::uint64_t length) {
        if (below.size() > kMaxSegmentSteps - steps_)
            return false;
        steps_ += below.size();
        for (const VolumeSegment& segment : below) {
            const std::uint64_t begin = std::max(lower, segment.offset);
            const std::uint64_t end = std::min(lower + length, segment.offset + segment.length);
            if (begin < end)
                out.push_back({upper + (begin - lower), segment.disk_offset + (begin - segment.offset), end - begin});
        }
        return true;
    }

  private:
    std::size_t steps_ = 0;
};

// A part of a volume that lies on others.
struct RoutedPart {
    std::uint64_t offset = 0; // in the volume
    std::uint64_t length = 0;
    ChangesRoute below;
    std::uint64_t below_offset = 0;
};

ChangesRoute route_over(std::vector<RoutedPart> parts) {
    return [parts = std::move(parts)](const std::shared_ptr<BlockChanges>& device) {
        std::vector<PlacedPiece> pieces;
        for (const RoutedPart& part : parts)
            pieces.push_back({part.offset, part.length, part.below(device), part.below_offset});
        return std::make_shared<PlacedChanges>(std::move(pieces));
    };
}

bool fits(const DiskLayout& layout, const DiskKey& key, std::size_t index) {
    const Volume& volume = layout.volumes[index];
    const std::string uuid = volume.signature ? volume.signature->uuid : "";
    return key.fits(volume.name, uuid) || find_volume(layout, key.selector) == index ||
           find_volume(layout, "UUID=" + key.selector) == index;
}

class VolumeStack {
  public:
    VolumeStack(DiskLayout& layout, const std::vector<DiskKey>& keys) : layout_(layout), keys_(keys) {}

    void open() {
        // A group may have members in what the others hold: it waits for them. Depth ends where nothing new appears.
        while (layout_.volumes.size() < kMaxVolumes) {
            const std::size_t before = layout_.volumes.size();
            open_arrays(before);
            open_encrypted(before);
            seen_ = before;
            if (layout_.volumes.size() == before)
                open_groups();
            if (layout_.volumes.size() == before)
                break;
        }
        layout_.remarks.insert(layout_.remarks.end(), group_remarks_.begin(), group_remarks_.end());
    }

  private:
    // Those of the volumes from `seen_` to `end` that are members.
    void open_arrays(std::size_t end) {
        std::vector<MdMember> members;
        std::vector<std::size_t> indices;
        for (std::size_t i = seen_; i < end; ++i) {
            const Volume& volume = layout_.volumes[i];
            if (!volume.signature || volume.signature->kind != ContentKind::raid)
                continue;
            members.push_back({volume.name, volume.device});
            indices.push_back(i);
        }
        if (members.empty())
            return;
        const MdFindings findings = assemble_arrays(members);
        layout_.remarks.insert(layout_.remarks.end(), findings.remarks.begin(), findings.remarks.end());
        for (const MdArray& array : findings.arrays) {
            for (const std::size_t member : array.members)
                layout_.volumes[indices[member]].containment = Containment::read;
            add_array(array, indices);
        }
    }

    void add_array(const MdArray& array, const std::vector<std::size_t>& indices) {
        Volume volume;
        const std::string name = std::string(array.name).substr(array.name.find(':') + 1);
        volume.name = "array ";
        if (array.minor)
            volume.name += fmt::format("md{}", *array.minor);
        else
            volume.name += name.empty() ? array.uuid : name;
        volume.device = array.device;
        volume.disk = layout_.volumes[indices[array.members.front()]].disk;
        volume.array = ArrayNames{array.uuid, array.name, array.minor};
        for (const MdPart& part : array.parts) {
            const Volume& member = layout_.volumes[indices[part.member]];
            volume.stored_unit = std::max(volume.stored_unit, member.stored_unit);
            if (member.stored.empty() || part.offset % member.stored_unit != 0 ||
                part.member_offset % member.stored_unit != 0 ||
                !composer_.add(volume.stored, part.offset, member.stored, part.member_offset, part.length)) {
                volume.stored.clear();
                break;
            }
        }
        volume.route = route_of_array(array, indices);
        const PartitionTable table = read_inner_table(volume);
        if (table.kind == TableKind::none) {
            volume.signature = probe_signature(*volume.device);
            layout_.volumes.push_back(std::move(volume));
            return;
        }
        for (const Partition& partition : table.partitions) {
            if (partition.role == PartitionRole::extended)
                continue;
            Volume inner;
            inner.name = fmt::format("{}, partition {}", volume.name, partition.number);
            inner.device = open_partition(volume.device, partition);
            inner.signature = probe_signature(*inner.device);
            inner.disk = volume.disk;
            inner.array = volume.array;
            inner.array->partition = partition;
            inner.stored_unit = volume.stored_unit;
            if (volume.route)
                inner.route = route_over({{0, partition.length, volume.route, partition.offset}});
            if (partition.offset % volume.stored_unit != 0 ||
                !composer_.add(inner.stored, 0, volume.stored, partition.offset, partition.length))
                inner.stored.clear();
            layout_.volumes.push_back(std::move(inner));
        }
    }

    // Null where the array, or one of its members, cannot be written.
    ChangesRoute route_of_array(const MdArray& array, const std::vector<std::size_t>& indices) const {
        if (!array.route || std::any_of(array.members.begin(), array.members.end(),
                                        [&](std::size_t member) { return !layout_.volumes[indices[member]].route; }))
            return nullptr;
        std::vector<ChangesRoute> below(indices.size());
        for (const std::size_t member : array.members)
            below[member] = layout_.volumes[indices[member]].route;
        return [below = std::move(below), route = array.route](const std::shared_ptr<BlockChanges>& device) {
            std::vector<std::shared_ptr<BlockChanges>> members;
            for (const ChangesRoute& each : below)
                members.push_back(each ? each(device) : nullptr);
            return route(members);
        };
    }

    PartitionTable read_inner_table(const Volume& volume) {
        try {
            PartitionTable table = read_partitions(*volume.device);
            for (const std::string& remark : table.remarks)
                layout_.remarks.push_back(escape_untrusted(volume.name) + ": " + remark);
            return table;
        } catch (const Error& error) {
            if (!is_content_error(error))
                throw;
            layout_.remarks.push_back(escape_untrusted(volume.name) + ": " + error.what());
            return {};
        }
    }

    void open_encrypted(std::size_t end) {
        for (std::size_t i = seen_; i < end; ++i) {
            const std::optional<Signature>& signature = layout_.volumes[i].signature;
            if (!signature || signature->type != "crypto_LUKS")
                continue;
            std::vector<std::string_view> keys;
            for (const DiskKey& key : keys_)
                if (fits(layout_, key, i))
                    for (const std::string_view secret : key.secrets())
                        keys.push_back(secret);
            try {
                LuksVolume opened = open_luks(layout_.volumes[i].device, keys);
                if (opened.device) {
                    add_decrypted(i, opened);
                    continue;
                }
                layout_.volumes[i].containment = Containment::locked;
                layout_.volumes[i].locked_reason = std::move(opened.reason);
            } catch (const Error& error) {
                if (!is_content_error(error))
                    throw;
                layout_.remarks.push_back(fmt::format("{} (LUKS) is not read here: {}",
                                                      escape_untrusted(layout_.volumes[i].name), error.what()));
            }
        }
    }

    void add_decrypted(std::size_t index, const LuksVolume& opened) {
        layout_.volumes[index].containment = Containment::read;
        const Volume& below = layout_.volumes[index];
        Volume volume;
        volume.name = "LUKS in " + below.name;
        volume.device = opened.device;
        volume.signature = probe_signature(*volume.device);
        volume.disk = below.disk;
        volume.encrypted = index;
        if (below.route)
            volume.route = [inner = opened.route, outer = below.route](const std::shared_ptr<BlockChanges>& device) {
                return inner(outer(device));
            };
        volume.stored_unit = std::max(opened.sector, below.stored_unit);
        if (opened.offset % below.stored_unit != 0 ||
            !composer_.add(volume.stored, 0, below.stored, opened.offset, opened.device->size()))
            volume.stored.clear();
        layout_.volumes.push_back(std::move(volume));
    }

    // LVM itself looks for members on no logical volume: what lies there is a machine of this machine.
    void open_groups() {
        std::vector<LvmPhysicalVolume> members;
        std::map<std::string, const Volume*> volumes;
        for (const Volume& volume : layout_.volumes) {
            if (!volume.signature || volume.signature->kind != ContentKind::volume_group ||
                !volume.logical_volume.empty())
                continue;
            members.push_back({volume.signature->uuid, volume.device});
            volumes.emplace(volume.signature->uuid, &volume);
        }
        if (members.size() == members_read_)
            return;
        members_read_ = members.size();
        LvmFindings findings = read_volume_groups(members);
        const auto below = [&](const std::string& uuid) -> const Volume& { return *volumes.at(uuid); };
        std::vector<Volume> added;
        for (LvmLogicalVolume& found : findings.volumes) {
            if (!known_volumes_.insert(found.group + "/" + found.name + " " + found.mapper_uuid).second)
                continue;
            Volume volume;
            volume.logical_volume = found.group + "/" + found.name;
            volume.name = "logical volume " + volume.logical_volume;
            volume.mapper_uuid = found.mapper_uuid;
            volume.device = found.device;
            volume.signature = probe_signature(*volume.device);
            place_logical_volume(volume, found, below);
            added.push_back(std::move(volume));
        }
        layout_.free_extents.clear();
        for (const LvmFreeSpace& free : findings.free) {
            const Volume& member = below(free.uuid);
            std::vector<VolumeSegment> places;
            if (free.offset % member.stored_unit == 0 && free.length % member.stored_unit == 0 &&
                composer_.add(places, 0, member.stored, free.offset, free.length))
                for (const VolumeSegment& place : places)
                    layout_.free_extents.push_back({place.disk_offset, place.length});
        }
        group_remarks_ = std::move(findings.remarks);
        layout_.volumes.insert(layout_.volumes.end(), std::make_move_iterator(added.begin()),
                               std::make_move_iterator(added.end()));
    }

    template <class Below>
    void place_logical_volume(Volume& volume, const LvmLogicalVolume& found, const Below& below) {
        for (const LvmSegment& segment : found.segments) {
            const Volume& member = below(segment.uuid);
            volume.stored_unit = std::max(volume.stored_unit, member.stored_unit);
            if (member.stored.empty() || segment.offset % member.stored_unit != 0 ||
                segment.physical_offset % member.stored_unit != 0 ||
                !composer_.add(volume.stored, segment.offset, member.stored, segment.physical_offset, segment.length)) {
                volume.stored.clear();
                break;
            }
        }
        std::vector<RoutedPart> parts;
        parts.reserve(found.segments.size());
        for (const LvmSegment& segment : found.segments)
            parts.push_back({segment.offset, segment.length, below(segment.uuid).route, segment.physical_offset});
        if (found.is_plain && !parts.empty() &&
            std::all_of(parts.begin(), parts.end(), [](const RoutedPart& part) { return part.below != nullptr; }))
            volume.route = route_over(std::move(parts));
    }

    DiskLayout& layout_;
    const std::vector<DiskKey>& keys_;
    SegmentComposer composer_;
    std::size_t seen_ = 0;         // volumes whose arrays and encryption have been looked at
    std::size_t members_read_ = 0; // of groups
    std::set<std::string> known_volumes_;
    std::vector<std::string> group_remarks_;
};

} // namespace

std::vector<std::string> describe_idle_keys(const DiskLayout& layout, const std::vector<DiskKey>& keys) {
    std::vector<std::string> remarks;
    for (const DiskKey& key : keys) {
        bool fits_any = false;
        for (std::size_t i = 0; i < layout.volumes.size(); ++i) {
            const std::optional<Signature>& signature = layout.volumes[i].signature;
            fits_any = fits_any || (signature && signature->kind == ContentKind::encrypted && fits(layout, key, i));
        }
        if (!fits_any)
            remarks.push_back(fmt::format("the key for {} was not needed: {} is encrypted here",
                                          quote_untrusted(key.selector),
                                          key.selector == "all" ? "nothing" : "nothing of that name"));
    }
    return remarks;
}

void open_containers(DiskLayout& layout, const std::vector<DiskKey>& keys) {
    VolumeStack(layout, keys).open();
}

} // namespace vm2oci
