#include "formats/md/array.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/joined.hpp"
#include "formats/block/slice.hpp"
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
        MdArray array{newest_.uuid, newest_.name, newest_.minor, nullptr, {}, {}};
        for (const Candidate& candidate : candidates_)
            array.members.push_back(candidate.member);
        if (newest_.level == md::kMirror)
            make_mirror(array, good);
        else if (newest_.level == md::kLinear)
            make_linear(array, good);
        else
            fail(ErrorKind::unsupported,
                 fmt::format(
                     "{} is not read here, {} of its {} members are on these disks; copy its content onto a disk "
                     "without RAID, or let libguestfs read it",
                     level_name(newest_.level), good.size(), newest_.members));
        if (newest_.level == md::kMirror && good.size() < newest_.members)
            reasons_.push_back(
                fmt::format("{} of its {} members hold its present content", good.size(), newest_.members));
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
