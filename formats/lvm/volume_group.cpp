#include "formats/lvm/volume_group.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/joined.hpp"
#include "formats/block/slice.hpp"
#include "formats/lvm/metadata_area.hpp"
#include "formats/lvm/text.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace vm2oci {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::size_t kMaxSegments = 100'000;

std::string without_dashes(std::string uuid) {
    std::erase(uuid, '-');
    return uuid;
}

std::string with_dashes(std::string uuid) {
    uuid = without_dashes(std::move(uuid));
    for (const std::size_t at : {26u, 22u, 18u, 14u, 10u, 6u})
        if (uuid.size() > at)
            uuid.insert(at, "-");
    return uuid;
}

struct Member {
    std::string uuid;
    std::shared_ptr<const BlockDevice> device; // null: missing
    std::uint64_t first_extent = 0;            // bytes
    std::uint64_t extents = 0;
    std::map<std::uint64_t, std::uint64_t> used; // extent → count
};

class Group {
  public:
    Group(std::string name, const lvm::Section& section, const std::vector<LvmPhysicalVolume>& members,
          LvmFindings& findings)
        : name_(std::move(name)), section_(section), findings_(findings) {
        extent_size_ = checked_multiply(require(section, "extent_size"), kSector, "LVM extent size");
        if (extent_size_ == 0)
            fail(ErrorKind::corrupt, "the LVM extent size is zero");
        read_members(members);
    }

    void read_volumes() {
        const lvm::Section* volumes = section_.section("logical_volumes");
        if (volumes == nullptr)
            return;
        for (const auto& [name, volume] : volumes->sections) {
            const bool visible = has_flag(volume, "VISIBLE");
            std::string problem;
            std::vector<LvmSegment> segments;
            std::vector<std::shared_ptr<const BlockDevice>> pieces = read_segments(volume, segments, problem);
            if (!visible)
                continue;
            if (!problem.empty()) {
                findings_.remarks.push_back("logical volume " + escape_untrusted(name_) + "/" + escape_untrusted(name) +
                                            ": " + problem);
                continue;
            }
            findings_.volumes.push_back({name_, name, std::make_shared<JoinedDevice>(pieces), std::move(segments),
                                         "LVM-" + without_dashes(section_.text("id").value_or("")) +
                                             without_dashes(volume.text("id").value_or(""))});
        }
    }

    void report_free() const {
        if (!understood_)
            return;
        for (const auto& [key, member] : members_) {
            if (!member.device)
                continue;
            std::uint64_t next = 0;
            for (const auto& [begin, count] : member.used) {
                add_free(member, next, begin);
                next = std::max(next, begin + count);
            }
            add_free(member, next, member.extents);
        }
    }

  private:
    static std::uint64_t require(const lvm::Section& section, const char* name) {
        const std::optional<std::uint64_t> value = section.number(name);
        if (!value)
            fail(ErrorKind::corrupt, "the LVM metadata does not say " + std::string(name));
        return *value;
    }

    static bool has_flag(const lvm::Section& section, const std::string& flag) {
        const std::vector<lvm::Value>* flags = section.list("status");
        return flags != nullptr && std::find(flags->begin(), flags->end(), lvm::Value(flag)) != flags->end();
    }

    void read_members(const std::vector<LvmPhysicalVolume>& available) {
        const lvm::Section* volumes = section_.section("physical_volumes");
        if (volumes == nullptr)
            fail(ErrorKind::corrupt, "the LVM metadata names no physical volumes");
        for (const auto& [key, volume] : volumes->sections) {
            Member member;
            member.uuid = with_dashes(volume.text("id").value_or(""));
            member.first_extent = checked_multiply(require(volume, "pe_start"), kSector, "LVM data offset");
            member.extents = require(volume, "pe_count");
            const auto found = std::find_if(available.begin(), available.end(),
                                            [&](const LvmPhysicalVolume& v) { return v.uuid == member.uuid; });
            if (found != available.end()) {
                member.device = found->device;
                check_range(*member.device, member.first_extent,
                            checked_multiply(member.extents, extent_size_, "LVM volume size"));
            }
            members_[key] = std::move(member);
        }
    }

    std::vector<std::shared_ptr<const BlockDevice>>
    read_segments(const lvm::Section& volume, std::vector<LvmSegment>& segments, std::string& problem) {
        std::vector<std::shared_ptr<const BlockDevice>> pieces;
        std::uint64_t next_extent = 0;
        for (const auto& [name, segment] : volume.sections) {
            if (name.rfind("segment", 0) != 0)
                continue;
            if (++segments_ > kMaxSegments)
                fail(ErrorKind::limit, "the LVM metadata has more segments than any real one");
            const std::uint64_t count = require(segment, "extent_count");
            if (count == 0 || require(segment, "start_extent") != next_extent)
                fail(ErrorKind::corrupt, "the segments of a logical volume do not follow each other");
            const std::uint64_t offset = checked_multiply(next_extent, extent_size_, "LVM volume size");
            next_extent = checked_add(next_extent, count, "LVM volume size");
            const std::uint64_t length = checked_multiply(next_extent, extent_size_, "LVM volume size") - offset;
            const std::string type = segment.text("type").value_or("");
            const std::vector<lvm::Value>* stripes = segment.list("stripes");
            if (type != "striped" || stripes == nullptr || stripes->size() != 2 ||
                segment.number("stripe_count").value_or(0) != 1) {
                understood_ = false;
                problem = "it is of a kind (" + escape_untrusted(type) + ") that the native backend does not read";
                continue;
            }
            const auto* member_key = std::get_if<std::string>(&stripes->front());
            const auto* stripe_extent = std::get_if<std::int64_t>(&stripes->back());
            const auto member = member_key == nullptr ? members_.end() : members_.find(*member_key);
            if (member == members_.end() || stripe_extent == nullptr || *stripe_extent < 0)
                fail(ErrorKind::corrupt, "a segment of the LVM metadata lies nowhere");
            const std::uint64_t begin = static_cast<std::uint64_t>(*stripe_extent);
            if (begin > member->second.extents || count > member->second.extents - begin)
                fail(ErrorKind::corrupt, "a segment of the LVM metadata lies outside its physical volume");
            std::uint64_t& used = member->second.used[begin];
            used = std::max(used, count);
            if (!member->second.device) {
                problem = "one of its physical volumes is not on this disk";
                continue;
            }
            const std::uint64_t physical = member->second.first_extent + begin * extent_size_;
            pieces.push_back(std::make_shared<SliceDevice>(member->second.device, physical, length));
            segments.push_back({offset, member->second.uuid, physical, length});
        }
        if (pieces.empty() && problem.empty())
            problem = "it has no segments";
        return pieces;
    }

    void add_free(const Member& member, std::uint64_t begin, std::uint64_t end) const {
        if (begin < end)
            findings_.free.push_back(
                {member.uuid, member.first_extent + begin * extent_size_, (end - begin) * extent_size_});
    }

    std::string name_;
    const lvm::Section& section_;
    LvmFindings& findings_;
    std::uint64_t extent_size_ = 0;
    std::map<std::string, Member> members_;
    std::size_t segments_ = 0;
    bool understood_ = true; // every segment was; else its extents are not known
};

} // namespace

LvmFindings read_volume_groups(const std::vector<LvmPhysicalVolume>& members) {
    LvmFindings findings;
    // Every member carries the whole group's text; the one with the highest sequence number is the current one.
    struct Described {
        std::string name;
        std::uint64_t sequence;
        lvm::Section text;
    };
    std::map<std::string, Described> groups; // by identifier
    for (const LvmPhysicalVolume& member : members) {
        try {
            const std::string text = lvm::read_metadata_text(*member.device);
            if (text.empty())
                continue;
            lvm::Section top = lvm::parse_text(text);
            if (top.sections.size() != 1)
                fail(ErrorKind::corrupt, "the LVM metadata describes no group");
            auto& [name, section] = top.sections.front();
            const std::uint64_t sequence = section.number("seqno").value_or(0);
            const std::string id = section.text("id").value_or("");
            const auto found = groups.find(id);
            if (found == groups.end() || found->second.sequence < sequence)
                groups[id] = {name, sequence, std::move(section)};
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::limit)
                throw;
            findings.remarks.push_back("LVM physical volume " + escape_untrusted(member.uuid) + ": " + error.what());
        }
    }
    for (const auto& [id, described] : groups) {
        try {
            Group group(described.name, described.text, members, findings);
            group.read_volumes();
            group.report_free();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::limit)
                throw;
            findings.remarks.push_back("LVM volume group " + escape_untrusted(described.name) + ": " + error.what());
        }
    }
    return findings;
}

} // namespace vm2oci
