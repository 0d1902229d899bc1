#include "formats/lvm/volume_group.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/lvm/logical_volume.hpp"
#include "formats/lvm/metadata_area.hpp"
#include "formats/lvm/text.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace vm2oci {
namespace {

constexpr std::uint64_t kSector = 512;

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

class Group {
  public:
    Group(std::string name, const lvm::Section& section, const std::vector<LvmPhysicalVolume>& members,
          LvmFindings& findings)
        : name_(std::move(name)), section_(section), findings_(findings) {
        extent_size_ = checked_multiply(lvm::require_number(section, "extent_size"), kSector, "LVM extent size");
        if (extent_size_ == 0)
            fail(ErrorKind::corrupt, "the LVM extent size is zero");
        read_members(members);
    }

    // Those that the machine does not start by itself, as snapshots of thin volumes, come last: where two look the
    // same, they are the copies.
    void read_volumes() {
        const lvm::Section* volumes = section_.section("logical_volumes");
        if (volumes == nullptr)
            return;
        lvm::VolumeResolver resolver(*volumes, members_, extent_size_);
        resolver.survey();
        understood_ = resolver.understands_all();
        for (const bool is_skipped : {false, true})
            for (const auto& [name, volume] : volumes->sections)
                if (lvm::has_flag(volume, "VISIBLE") && lvm::has_flag(volume, "ACTIVATION_SKIP") == is_skipped)
                    read_volume(name, volume, resolver);
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
    void read_volume(const std::string& name, const lvm::Section& volume, lvm::VolumeResolver& resolver) {
        const auto tell = [&](const std::string& which, const std::string& text) {
            findings_.remarks.push_back("logical volume " + escape_untrusted(name_) + "/" + escape_untrusted(which) +
                                        ": " + text);
        };
        const lvm::Section* first = volume.section("segment1");
        const std::string type = first == nullptr ? "" : first->text("type").value_or("");
        // A pool has no content of its own.
        if (type == "thin-pool")
            return;
        // What is seen is a volume beside the one that the changes lie in.
        if (type == "snapshot")
            return tell(first->text("cow_store").value_or(name),
                        "it is a snapshot of " + escape_untrusted(first->text("origin").value_or("another volume")) +
                            ", which is read without it");
        const lvm::ResolvedVolume& resolved = resolver.resolve(name);
        if (!resolved.device)
            return tell(name, resolved.problem);
        findings_.volumes.push_back(
            {name_, name, resolved.device, resolved.segments,
             "LVM-" + without_dashes(section_.text("id").value_or("")) + without_dashes(volume.text("id").value_or("")),
             resolved.is_plain});
    }

    void read_members(const std::vector<LvmPhysicalVolume>& available) {
        const lvm::Section* volumes = section_.section("physical_volumes");
        if (volumes == nullptr)
            fail(ErrorKind::corrupt, "the LVM metadata names no physical volumes");
        for (const auto& [key, volume] : volumes->sections) {
            lvm::Member member;
            member.uuid = with_dashes(volume.text("id").value_or(""));
            member.first_extent = checked_multiply(lvm::require_number(volume, "pe_start"), kSector, "LVM data offset");
            member.extents = lvm::require_number(volume, "pe_count");
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

    void add_free(const lvm::Member& member, std::uint64_t begin, std::uint64_t end) const {
        if (begin < end)
            findings_.free.push_back(
                {member.uuid, member.first_extent + begin * extent_size_, (end - begin) * extent_size_});
    }

    std::string name_;
    const lvm::Section& section_;
    LvmFindings& findings_;
    std::uint64_t extent_size_ = 0;
    std::map<std::string, lvm::Member> members_;
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
