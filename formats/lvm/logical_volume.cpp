#include "formats/lvm/logical_volume.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/empty.hpp"
#include "formats/block/joined.hpp"
#include "formats/block/slice.hpp"
#include "formats/block/striped.hpp"
#include "formats/lvm/raid_member.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace vm2oci::lvm {
namespace {

constexpr std::uint64_t kLvmSector = 512;
constexpr std::size_t kMaxVolumeSegments = 100'000;
constexpr std::size_t kMaxNesting = 16; // a thin volume on a pool on RAID has five
constexpr std::size_t kMaxStripes = 128;

// Of kinds whose parts of physical volumes the survey finds.
constexpr std::string_view kKnownTypes[] = {
    "striped",   "mirror",     "snapshot",    "zero",       "error",      "thin",      "thin-pool",
    "cache",     "cache-pool", "writecache",  "vdo",        "vdo-pool",   "raid0",     "raid0_meta",
    "raid1",     "raid10",     "raid10_near", "raid4",      "raid5",      "raid5_n",   "raid5_ls",
    "raid5_rs",  "raid5_la",   "raid5_ra",    "raid6",      "raid6_zr",   "raid6_nr",  "raid6_nc",
    "raid6_n_6", "integrity",  "raid6_ls_6",  "raid6_rs_6", "raid6_la_6", "raid6_ra_6"};

// What its owner can do about a kind that is not read.
std::string_view remedy_for(std::string_view type) {
    if (type == "cache" || type == "cache-pool" || type == "writecache")
        return "; take the cache away in the machine: lvconvert --uncache";
    if (type == "vdo" || type == "vdo-pool")
        return "; copy its content onto a volume without compression";
    if (type == "integrity")
        return "; take the integrity away in the machine: lvconvert --raidintegrity n";
    if (type.starts_with("raid"))
        return "; let libguestfs read it, or convert it in the machine";
    return "";
}

[[noreturn]] void refuse_type(const std::string& type) {
    fail(ErrorKind::unsupported, "it is of a kind (" + escape_untrusted(type) +
                                     ") that the native backend does not read" + std::string(remedy_for(type)));
}

std::string require_text(const Section& section, const char* name) {
    const std::optional<std::string> value = section.text(name);
    if (!value)
        fail(ErrorKind::corrupt, "the LVM metadata does not say " + std::string(name));
    return *value;
}

// The names in a list of nothing but names.
std::vector<std::string> names_in(const Section& segment, const char* list) {
    std::vector<std::string> names;
    const std::vector<Value>* values = segment.list(list);
    if (values == nullptr)
        fail(ErrorKind::corrupt, "the LVM metadata does not say " + std::string(list));
    for (const Value& value : *values) {
        const auto* name = std::get_if<std::string>(&value);
        if (name == nullptr)
            fail(ErrorKind::corrupt, "the LVM metadata has a number where a volume should be");
        names.push_back(*name);
    }
    return names;
}

} // namespace

std::uint64_t require_number(const Section& section, const char* name) {
    const std::optional<std::uint64_t> value = section.number(name);
    if (!value)
        fail(ErrorKind::corrupt, "the LVM metadata does not say " + std::string(name));
    return *value;
}

bool has_flag(const Section& section, const std::string& flag) {
    const std::vector<Value>* flags = section.list("status");
    return flags != nullptr && std::find(flags->begin(), flags->end(), Value(flag)) != flags->end();
}

VolumeResolver::VolumeResolver(const Section& volumes, std::map<std::string, Member>& members,
                               std::uint64_t extent_size)
    : volumes_(volumes), members_(members), extent_size_(extent_size) {}

const Section* VolumeResolver::find(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
}

void VolumeResolver::survey() {
    for (const auto& [name, volume] : volumes_.sections)
        by_name_.emplace(name, &volume);
    for (const auto& [name, volume] : volumes_.sections) {
        std::uint64_t next_extent = 0;
        for (const auto& [segment_name, segment] : volume.sections) {
            if (!segment_name.starts_with("segment"))
                continue;
            if (++segments_ > kMaxVolumeSegments)
                fail(ErrorKind::limit, "the LVM metadata has more segments than any real one");
            const std::uint64_t count = require_number(segment, "extent_count");
            if (count == 0 || require_number(segment, "start_extent") != next_extent)
                fail(ErrorKind::corrupt, "the segments of a logical volume do not follow each other");
            next_extent = checked_add(next_extent, count, "LVM volume size");
            checked_multiply(next_extent, extent_size_, "LVM volume size");
            survey_segment(volume, segment, segment.text("type").value_or(""), count);
        }
    }
}

void VolumeResolver::survey_segment(const Section& volume, const Section& segment, const std::string& type,
                                    std::uint64_t count) {
    if (std::find(std::begin(kKnownTypes), std::end(kKnownTypes), type) == std::end(kKnownTypes))
        understands_all_ = false;
    if (type == "striped") {
        const std::uint64_t stripes = require_number(segment, "stripe_count");
        if (stripes == 0 || stripes > kMaxStripes || count % stripes != 0)
            fail(ErrorKind::corrupt, "the stripes of a logical volume do not fit it");
        survey_areas(segment, "stripes", count / stripes);
    } else if (type == "mirror") {
        survey_areas(segment, "mirrors", count);
    } else if (type == "snapshot") {
        if (const std::optional<std::string> merging = segment.text("merging_store"))
            merging_.emplace(require_text(segment, "origin"), *merging);
    } else if (const std::optional<std::string> merge = segment.text("merge"); merge && type == "thin") {
        merging_.emplace(*merge, require_text(volume, "id"));
    }
}

// Pairs of where, a physical volume or another logical one, and the first extent there.
void VolumeResolver::survey_areas(const Section& segment, const char* list, std::uint64_t count) {
    const std::vector<Value>* areas = segment.list(list);
    if (areas == nullptr || areas->empty() || areas->size() % 2 != 0 || areas->size() > 2 * kMaxStripes)
        fail(ErrorKind::corrupt, "a segment of the LVM metadata lies nowhere");
    for (std::size_t i = 0; i < areas->size(); i += 2) {
        const auto* key = std::get_if<std::string>(&(*areas)[i]);
        const auto* extent = std::get_if<std::int64_t>(&(*areas)[i + 1]);
        const auto member = key == nullptr ? members_.end() : members_.find(*key);
        if (extent == nullptr || *extent < 0 || (member == members_.end() && (key == nullptr || find(*key) == nullptr)))
            fail(ErrorKind::corrupt, "a segment of the LVM metadata lies nowhere");
        if (member == members_.end())
            continue;
        const auto begin = static_cast<std::uint64_t>(*extent);
        if (begin > member->second.extents || count > member->second.extents - begin)
            fail(ErrorKind::corrupt, "a segment of the LVM metadata lies outside its physical volume");
        std::uint64_t& used = member->second.used[begin];
        used = std::max(used, count);
    }
}

const ResolvedVolume& VolumeResolver::resolve(const std::string& name) {
    if (const auto found = resolved_.find(name); found != resolved_.end())
        return found->second;
    ResolvedVolume resolved;
    const Section* volume = find(name);
    if (volume == nullptr) {
        resolved.problem = "a volume that it consists of is not there";
    } else if (open_.size() >= kMaxNesting || !open_.insert(name).second) {
        resolved.problem = "it consists of itself, or of too many volumes in each other";
        return resolved_[name] = std::move(resolved);
    } else {
        try {
            resolved = build(name, *volume);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported &&
                error.kind() != ErrorKind::limit)
                throw;
            resolved = {};
            resolved.problem = error.what();
        }
        open_.erase(name);
    }
    return resolved_[name] = std::move(resolved);
}

ResolvedVolume VolumeResolver::build(const std::string& name, const Section& volume) {
    if (merging_.contains(name))
        fail(ErrorKind::unsupported, "a snapshot is being merged into it; let the machine finish that");
    ResolvedVolume resolved;
    std::vector<std::shared_ptr<const BlockDevice>> pieces;
    std::uint64_t offset = 0;
    for (const auto& [segment_name, segment] : volume.sections) {
        if (!segment_name.starts_with("segment"))
            continue;
        const std::uint64_t length = require_number(segment, "extent_count") * extent_size_;
        Piece piece = build_segment(segment, length);
        if (piece.device->size() != length)
            fail(ErrorKind::corrupt, "a segment has another size than what it consists of");
        for (LvmSegment& part : piece.segments) {
            part.offset += offset;
            resolved.segments.push_back(std::move(part));
        }
        if (resolved.segments.size() > kMaxVolumeSegments)
            fail(ErrorKind::limit, "it lies in more places than any real one");
        resolved.is_plain = resolved.is_plain && piece.is_plain;
        pieces.push_back(std::move(piece.device));
        offset += length;
    }
    if (pieces.empty())
        fail(ErrorKind::corrupt, "it has no segments");
    resolved.device = std::make_shared<JoinedDevice>(pieces);
    return resolved;
}

VolumeResolver::Piece VolumeResolver::build_segment(const Section& segment, std::uint64_t length) {
    const std::string type = segment.text("type").value_or("");
    if (type == "striped")
        return striped(segment, length);
    if (type == "mirror")
        return mirror(segment, length);
    if (type == "raid1")
        return raid1(segment, length);
    if (type == "thin")
        return thin(segment, length);
    if (type == "zero")
        return {std::make_shared<EmptyDevice>(length), {}, false};
    refuse_type(type);
}

VolumeResolver::Piece VolumeResolver::area(const Section& segment, const char* list, std::size_t index,
                                           std::uint64_t length) {
    const std::vector<Value>& areas = *segment.list(list);
    const auto& key = std::get<std::string>(areas[2 * index]);
    const auto extent = static_cast<std::uint64_t>(std::get<std::int64_t>(areas[2 * index + 1]));
    if (const auto member = members_.find(key); member != members_.end()) {
        if (!member->second.device)
            fail(ErrorKind::unsupported, "one of its physical volumes is not on this disk");
        const std::uint64_t physical = member->second.first_extent + extent * extent_size_;
        return {std::make_shared<SliceDevice>(member->second.device, physical, length),
                {{0, member->second.uuid, physical, length}}};
    }
    const ResolvedVolume& inner = resolve(key);
    if (!inner.device)
        fail(ErrorKind::unsupported, inner.problem);
    const std::uint64_t begin = checked_multiply(extent, extent_size_, "LVM extent");
    Piece piece{std::make_shared<SliceDevice>(inner.device, begin, length), {}, inner.is_plain};
    for (const LvmSegment& part : inner.segments) {
        const std::uint64_t from = std::max(part.offset, begin);
        const std::uint64_t to = std::min(part.offset + part.length, begin + length);
        if (from < to)
            piece.segments.push_back({from - begin, part.uuid, part.physical_offset + (from - part.offset), to - from});
    }
    return piece;
}

VolumeResolver::Piece VolumeResolver::whole(const std::string& name, std::uint64_t length) {
    const ResolvedVolume& inner = resolve(name);
    if (!inner.device)
        fail(ErrorKind::unsupported, inner.problem);
    if (inner.device->size() < length)
        fail(ErrorKind::corrupt, "a volume that it consists of is too small");
    return {std::make_shared<SliceDevice>(inner.device, 0, length), inner.segments, inner.is_plain};
}

VolumeResolver::Piece VolumeResolver::striped(const Section& segment, std::uint64_t length) {
    const std::uint64_t count = require_number(segment, "stripe_count");
    if (segment.list("stripes")->size() != 2 * count)
        fail(ErrorKind::corrupt, "the stripes of a logical volume do not fit it");
    if (count == 1)
        return area(segment, "stripes", 0, length);
    std::vector<std::shared_ptr<const BlockDevice>> disks;
    for (std::size_t i = 0; i < count; ++i)
        disks.push_back(area(segment, "stripes", i, length / count).device);
    return {std::make_shared<StripedDevice>(std::move(disks), checked_multiply(require_number(segment, "stripe_size"),
                                                                               kLvmSector, "LVM stripe size")),
            {},
            false};
}

// The first copy is the one that the kernel reads as long as the others may be behind.
VolumeResolver::Piece VolumeResolver::mirror(const Section& segment, std::uint64_t length) {
    Piece mirror = area(segment, "mirrors", 0, length);
    mirror.is_plain = false;
    for (std::size_t i = 1; i < segment.list("mirrors")->size() / 2; ++i) {
        try {
            Piece copy = area(segment, "mirrors", i, length);
            mirror.segments.insert(mirror.segments.end(), copy.segments.begin(), copy.segments.end());
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::unsupported)
                throw;
        }
    }
    return mirror;
}

// Pairs: beside each copy lies a small volume that tells whether it is up to date.
VolumeResolver::Piece VolumeResolver::raid1(const Section& segment, std::uint64_t length) {
    struct Copy {
        Piece piece;
        std::optional<RaidMember> state;
        std::uint32_t position;
    };
    const std::vector<std::string> names = names_in(segment, "raids");
    std::vector<Copy> copies;
    std::string reasons;
    std::uint64_t newest = 0;
    std::uint64_t failed = 0;
    for (std::size_t i = 0; i + 1 < names.size(); i += 2) {
        try {
            Copy copy{whole(names[i + 1], length), read_raid_member(*whole(names[i], kLvmSector).device),
                      static_cast<std::uint32_t>(i / 2)};
            if (copy.state && copy.state->events >= newest) {
                failed = copy.state->events > newest ? copy.state->failed : failed | copy.state->failed;
                newest = copy.state->events;
            }
            copies.push_back(std::move(copy));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::unsupported && error.kind() != ErrorKind::corrupt)
                throw;
            reasons += std::string(reasons.empty() ? ": " : "; ") + error.what();
        }
    }
    std::erase_if(copies, [&](const Copy& copy) {
        const bool is_failed = copy.position < 64 && (failed >> copy.position & 1U) != 0;
        return is_failed || (newest != 0 && !copy.state) ||
               (copy.state && (copy.state->is_recovering || copy.state->is_reshaping ||
                               copy.state->position != copy.position || newest - copy.state->events > 1));
    });
    if (copies.empty())
        fail(ErrorKind::corrupt, "none of its copies that are here holds its content" + reasons);
    Piece mirror = std::move(copies.front().piece);
    mirror.is_plain = false;
    for (std::size_t i = 1; i < copies.size(); ++i)
        mirror.segments.insert(mirror.segments.end(), copies[i].piece.segments.begin(), copies[i].piece.segments.end());
    return mirror;
}

VolumeResolver::Piece VolumeResolver::thin(const Section& segment, std::uint64_t length) {
    std::shared_ptr<const BlockDevice> origin;
    if (const std::optional<std::string> external = segment.text("external_origin")) {
        const ResolvedVolume& below = resolve(*external);
        if (!below.device)
            fail(ErrorKind::unsupported, "its origin " + quote_untrusted(*external) + ": " + below.problem);
        origin = below.device;
    }
    if (segment.text("merge"))
        fail(ErrorKind::unsupported, "it is being merged into its origin; let the machine finish that");
    return {
        pool(require_text(segment, "thin_pool")).open(require_number(segment, "device_id"), length, origin), {}, false};
}

const ThinPool& VolumeResolver::pool(const std::string& name) {
    if (const auto found = pools_.find(name); found != pools_.end())
        return *found->second;
    const Section* volume = find(name);
    const Section* segment = volume == nullptr ? nullptr : volume->section("segment1");
    if (segment == nullptr || segment->text("type") != "thin-pool")
        fail(ErrorKind::corrupt, "its pool is no thin pool");
    const std::string data = require_text(*segment, "pool");
    const std::string metadata = require_text(*segment, "metadata");
    const std::uint64_t length = require_number(*segment, "extent_count") * extent_size_;
    const ResolvedVolume& map = resolve(metadata);
    if (!map.device)
        fail(ErrorKind::unsupported, "the metadata of its pool: " + map.problem);
    Piece blocks = whole(data, length);
    auto pool = std::make_unique<ThinPool>(
        map.device, blocks.device,
        checked_multiply(require_number(*segment, "chunk_size"), kLvmSector, "LVM chunk size"),
        require_number(*segment, "transaction_id"));
    return *(pools_[name] = std::move(pool));
}

} // namespace vm2oci::lvm
