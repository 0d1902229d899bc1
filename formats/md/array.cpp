#include "formats/md/array.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/joined.hpp"
#include "formats/block/routed_changes.hpp"
#include "formats/block/slice.hpp"
#include "formats/block/striped.hpp"
#include "formats/md/parity.hpp"
#include "formats/md/superblock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace vm2oci {
namespace {

using md::Superblock;

struct Candidate {
    std::size_t member;
    Superblock super;
};

std::string level_name(std::int32_t level) {
    switch (level) {
    case md::kLinear:
        return "linear";
    case -4:
        return "multipath";
    case -5:
        return "faulty";
    default:
        return fmt::format("RAID {}", level);
    }
}

std::string array_title(const Superblock& super) {
    if (super.minor)
        return fmt::format("array md{}", *super.minor);
    return super.name.empty() ? "array " + super.uuid : "array " + escape_untrusted(super.name);
}

// One array from all that claim to belong to it.
class Assembly {
  public:
    Assembly(const std::vector<MdMember>& given, std::vector<Candidate> candidates)
        : given_(given), candidates_(std::move(candidates)), newest_(find_newest()) {}

    // Error{unsupported, corrupt}: it cannot be read, and why.
    MdArray assemble(std::vector<std::string>& remarks) {
        if (newest_.is_reshaping)
            fail(ErrorKind::unsupported, "its form is being changed; let the machine finish that, and copy it again");
        std::map<std::uint16_t, const Candidate*> good = choose_members();
        MdArray array{newest_.uuid, newest_.name, newest_.minor, nullptr, {}, {}, nullptr};
        for (const Candidate& candidate : candidates_)
            array.members.push_back(candidate.member);
        if (newest_.level == md::kMirror)
            make_mirror(array, good);
        else if (newest_.level == md::kLinear)
            make_linear(array, good);
        else if (newest_.level == md::kStriped)
            make_striped(array, good, 1);
        else if (newest_.level == md::kStripedMirrors && near_copies() != 0)
            make_striped(array, good, near_copies());
        else if (has_parity())
            make_parity(array, good);
        else
            fail(ErrorKind::unsupported,
                 fmt::format(
                     "{} is not read here, {} of its {} members are on these disks; copy its content onto a disk "
                     "without RAID, or let libguestfs read it",
                     level_name(newest_.level), good.size(), newest_.members));
        if (good.size() < newest_.members)
            reasons_.push_back(
                fmt::format("{} of its {} members hold its present content", good.size(), newest_.members));
        if (good.size() < newest_.members || has_rivals_)
            array.route = nullptr;
        for (const std::string& reason : reasons_)
            remarks.push_back(title() + ": " + reason);
        return array;
    }

    std::string title() const { return array_title(newest_); }

  private:
    const Superblock& find_newest() const {
        return std::max_element(candidates_.begin(), candidates_.end(),
                                [](const Candidate& a, const Candidate& b) { return a.super.events < b.super.events; })
            ->super;
    }

    // Why the member does not count; empty: it does.
    std::string flaw_of(const Superblock& super) const {
        const std::uint16_t role = newest_.role_of(super.number);
        const std::uint16_t own = super.role_of(super.number);
        if (super.level != newest_.level || super.members != newest_.members)
            return "says something else of the array than the newest of its members";
        // The kernel, too, takes one that misses the last event: of a machine that stopped between two writes.
        if (super.events < newest_.events && newest_.events - super.events > 1)
            return fmt::format("is out of date ({} events, the newest has {})", super.events, newest_.events);
        if (role == Superblock::kFaulty || own == Superblock::kFaulty)
            return "has failed";
        if (role == Superblock::kJournal)
            return "is a journal";
        if (role == Superblock::kSpare || role >= newest_.members)
            return "is a spare";
        if (super.is_recovering)
            return "was still being filled";
        if (super.has_bad_blocks)
            return "has blocks that are known to be bad";
        return {};
    }

    std::map<std::uint16_t, const Candidate*> choose_members() {
        std::map<std::uint16_t, const Candidate*> good;
        for (const Candidate& candidate : candidates_) {
            const std::string flaw = flaw_of(candidate.super);
            const std::string& name = given_[candidate.member].name;
            if (!flaw.empty()) {
                reasons_.push_back(escape_untrusted(name) + " " + flaw);
                continue;
            }
            const Candidate*& place = good[newest_.role_of(candidate.super.number)];
            has_rivals_ = has_rivals_ || place != nullptr;
            if (place != nullptr)
                reasons_.push_back(fmt::format("{} says that it is what {} is", escape_untrusted(name),
                                               escape_untrusted(given_[place->member].name)));
            if (place == nullptr || place->super.events < candidate.super.events)
                place = &candidate;
        }
        return good;
    }

    void make_mirror(MdArray& array, const std::map<std::uint16_t, const Candidate*>& good) {
        const std::uint64_t size = newest_.used;
        if (good.empty())
            fail(ErrorKind::corrupt, "none of its members that are here holds its content" + all_reasons());
        for (const auto& [role, candidate] : good) {
            if (size == 0 || size > candidate->super.size)
                fail(ErrorKind::corrupt, "it is larger than its members");
            array.parts.push_back({0, candidate->member, candidate->super.offset, size});
        }
        const Candidate& first = *good.begin()->second;
        array.device = std::make_shared<SliceDevice>(given_[first.member].device, first.super.offset, size);
        array.route = [parts = array.parts](const Changes& members) {
            return mirror_of(parts.begin(), parts.end(), members);
        };
    }

    void make_linear(MdArray& array, const std::map<std::uint16_t, const Candidate*>& good) {
        if (good.size() != newest_.members)
            fail(ErrorKind::corrupt, fmt::format("{} of its {} members are here, and its content lies on all of them{}",
                                                 good.size(), newest_.members, all_reasons()));
        std::vector<std::shared_ptr<const BlockDevice>> pieces;
        std::uint64_t offset = 0;
        for (const auto& [role, candidate] : good) {
            const std::uint64_t chunk = std::max<std::uint64_t>(newest_.chunk, 512);
            const std::uint64_t length = align_down(candidate->super.size, chunk);
            if (length == 0)
                fail(ErrorKind::corrupt, "one of its members has room for nothing");
            pieces.push_back(
                std::make_shared<SliceDevice>(given_[candidate->member].device, candidate->super.offset, length));
            array.parts.push_back({offset, candidate->member, candidate->super.offset, length});
            offset = checked_add(offset, length, "the size of an md array");
        }
        array.device = std::make_shared<JoinedDevice>(pieces);
        array.route = [parts = array.parts](const Changes& members) {
            std::vector<PlacedPiece> placed;
            placed.reserve(parts.size());
            for (const MdPart& part : parts)
                placed.push_back({part.offset, part.length, members[part.member], part.member_offset});
            return std::make_shared<PlacedChanges>(std::move(placed));
        };
    }

    // Of RAID 10 whose copies are nothing but near, and whose members are whole groups of them; 0: it is another.
    std::uint32_t near_copies() const {
        const std::uint32_t near = newest_.layout & 0xffU;
        const bool is_only_near = (newest_.layout >> 8U & 0xffU) == 1 && newest_.layout >> 16U == 0;
        return is_only_near && near != 0 && newest_.members % near == 0 ? near : 0;
    }

    // Groups of members with the same content take turns.
    void make_striped(MdArray& array, const std::map<std::uint16_t, const Candidate*>& good, std::uint32_t copies) {
        std::map<std::uint32_t, std::shared_ptr<const BlockDevice>> groups; // by the first sound member of each
        std::vector<MdPart> places;                                         // of all members, in the order of groups
        const std::uint64_t chunk = newest_.chunk;
        if (chunk == 0)
            fail(ErrorKind::corrupt, "it has stripes of no size");
        for (const auto& [role, candidate] : good) {
            const std::uint64_t size = copies > 1 ? newest_.used : candidate->super.size;
            const std::uint64_t length = align_down(size, chunk);
            if (length == 0 || size > candidate->super.size)
                fail(ErrorKind::corrupt, "it is larger than its members");
            groups.emplace(role / copies, std::make_shared<SliceDevice>(given_[candidate->member].device,
                                                                        candidate->super.offset, length));
            places.push_back({0, candidate->member, candidate->super.offset, length});
        }
        if (groups.size() != newest_.members / copies || groups.empty())
            fail(ErrorKind::corrupt,
                 fmt::format("{} of its {} members are here, and too few of them hold its content{}", good.size(),
                             newest_.members, all_reasons()));
        std::vector<std::shared_ptr<const BlockDevice>> disks;
        for (const auto& [group, device] : groups) {
            if (device->size() != groups.begin()->second->size())
                fail(ErrorKind::unsupported, "its members have different sizes, which is not read here; copy its "
                                             "content onto a disk without RAID, or let libguestfs read it");
            disks.push_back(device);
        }
        array.device = std::make_shared<StripedDevice>(std::move(disks), chunk);
        // Used only where no member is missing: each group is `copies` of them.
        array.route = [places, chunk, copies](const Changes& members) {
            std::vector<std::shared_ptr<BlockChanges>> turns;
            for (auto place = places.begin(); place != places.end(); place += copies)
                turns.push_back(mirror_of(place, place + copies, members));
            return std::make_shared<StripedChanges>(std::move(turns), chunk);
        };
    }

    bool has_parity() const {
        return std::find(std::begin(md::kParityLevels), std::end(md::kParityLevels), newest_.level) !=
               std::end(md::kParityLevels);
    }

    void make_parity(MdArray& array, const std::map<std::uint16_t, const Candidate*>& good) {
        const md::ParityForm form(newest_.level, newest_.layout, newest_.members, newest_.chunk);
        if (newest_.has_journal)
            fail(ErrorKind::unsupported, "what it has in its journal is not read here; let the machine start and stop "
                                         "it, or let libguestfs read it");
        if (good.size() + form.parities() < newest_.members)
            fail(ErrorKind::corrupt,
                 fmt::format("{} of its {} members are here, and too few of them hold its content{}", good.size(),
                             newest_.members, all_reasons()));
        // As the kernel: of a machine that stopped in the middle of a stripe, its parity tells nothing of what is
        // missing.
        if (good.size() < newest_.members && !newest_.is_clean)
            fail(ErrorKind::corrupt, fmt::format("{} of its {} members are here, and its parity need not fit them{}",
                                                 good.size(), newest_.members, all_reasons()));
        const std::uint64_t length = align_down(newest_.used, newest_.chunk);
        std::vector<std::shared_ptr<const BlockDevice>> disks(newest_.members);
        std::vector<MdPart> places;
        for (const auto& [role, candidate] : good) {
            if (length == 0 || length > candidate->super.size)
                fail(ErrorKind::corrupt, "it is larger than its members");
            disks[role] =
                std::make_shared<SliceDevice>(given_[candidate->member].device, candidate->super.offset, length);
            places.push_back({0, candidate->member, candidate->super.offset, length});
        }
        const auto device = std::make_shared<md::ParityDevice>(form, std::move(disks));
        array.device = device;
        // The log of a stripe tells what lay beside what was being written: when that is changed, it tells nothing.
        if (newest_.has_parity_log && !newest_.is_clean)
            return;
        // Used only where no member is missing.
        array.route = [places, device](const Changes& members) {
            Changes each;
            for (auto place = places.begin(); place != places.end(); ++place)
                each.push_back(mirror_of(place, place + 1, members));
            return std::make_shared<md::ParityChanges>(device, std::move(each));
        };
    }

    using Changes = std::vector<std::shared_ptr<BlockChanges>>;
    using Places = std::vector<MdPart>::const_iterator;

    // Each place takes every change.
    static std::shared_ptr<BlockChanges> mirror_of(Places begin, Places end, const Changes& members) {
        Changes copies;
        for (; begin != end; ++begin)
            copies.push_back(std::make_shared<PlacedChanges>(
                std::vector<PlacedPiece>{{0, begin->length, members[begin->member], begin->member_offset}}));
        return std::make_shared<MirroredChanges>(std::move(copies));
    }

    std::string all_reasons() const {
        std::string text;
        for (const std::string& reason : reasons_)
            text += (text.empty() ? ": " : ", ") + reason;
        return text;
    }

    const std::vector<MdMember>& given_;
    std::vector<Candidate> candidates_;
    const Superblock& newest_;
    std::vector<std::string> reasons_;
    bool has_rivals_ = false; // two members say that they are the same
};

bool is_tellable(const Error& error) {
    return error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported ||
           error.kind() == ErrorKind::limit;
}

} // namespace

MdFindings assemble_arrays(const std::vector<MdMember>& members) {
    MdFindings findings;
    std::vector<std::vector<Candidate>> sets; // in the order of their first members
    for (std::size_t i = 0; i < members.size(); ++i) {
        try {
            Superblock super = md::read_superblock(*members[i].device);
            const auto same = std::find_if(sets.begin(), sets.end(), [&](const std::vector<Candidate>& set) {
                return set.front().super.set == super.set &&
                       (set.front().super.version == "0.90") == (super.version == "0.90");
            });
            std::vector<Candidate>& set = same == sets.end() ? sets.emplace_back() : *same;
            set.push_back({i, std::move(super)});
        } catch (const Error& error) {
            if (!is_tellable(error))
                throw;
            findings.remarks.push_back(
                fmt::format("{}, a member of an array: {}", escape_untrusted(members[i].name), error.what()));
        }
    }
    for (std::vector<Candidate>& set : sets) {
        Assembly assembly(members, std::move(set));
        try {
            findings.arrays.push_back(assembly.assemble(findings.remarks));
        } catch (const Error& error) {
            if (!is_tellable(error))
                throw;
            findings.remarks.push_back(assembly.title() + ": " + error.what());
        }
    }
    return findings;
}

std::optional<std::uint64_t> find_end_superblock(const BlockDevice& device) {
    try {
        const Superblock super = md::read_superblock(device);
        if (super.version == "0.90" || super.version == "1.0")
            return super.place;
    } catch (const Error& error) {
        if (!is_tellable(error))
            throw;
    }
    return std::nullopt;
}

} // namespace vm2oci
