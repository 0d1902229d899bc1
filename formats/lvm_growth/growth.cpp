#include "formats/lvm_growth/growth.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/lvm/metadata_area.hpp"
#include "formats/lvm_growth/located_text.hpp"

#include <fmt/format.h>
#include <libdeflate.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace vm2oci {
namespace {

constexpr std::size_t kSector = 512;
constexpr std::size_t kLabelSectors = 4;
constexpr std::size_t kLabelChecksum = 16;
constexpr std::size_t kLabelContentOffset = 20;
constexpr std::size_t kIdentifierSize = 32; // without the dashes that the text has in it
constexpr std::size_t kDeviceSizeInHeader = 32;
constexpr std::size_t kAreaHeader = 512;
constexpr std::size_t kLocation = 40; // of the text in the area's header: offset, size, checksum, flags
constexpr std::uint32_t kChecksumSeed = 0xf597a6cf;

// LVM's CRC-32 starts elsewhere and is not inverted at its end.
std::uint32_t checksum(std::span<const std::byte> bytes) {
    return ~libdeflate_crc32(~kChecksumSeed, bytes.data(), bytes.size());
}

std::vector<std::byte> read_bytes(const BlockDevice& device, std::uint64_t offset, std::uint64_t length) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(length));
    device.read_at(offset, bytes);
    return bytes;
}

struct Label {
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes;
    std::uint64_t area_offset = 0; // of the text; 0: it keeps none
    std::uint64_t area_size = 0;
    std::string identifier{};
};

// formats/lvm has read it and its only area already, and held them against their checksums.
Label read_label(const BlockDevice& volume) {
    Label label;
    for (std::uint64_t sector = 0; sector < kLabelSectors && (sector + 1) * kSector <= volume.size(); ++sector) {
        label.offset = sector * kSector;
        label.bytes = read_bytes(volume, label.offset, kSector);
        if (std::memcmp(label.bytes.data(), "LABELONE", 8) == 0)
            break;
        label.bytes.clear();
    }
    if (label.bytes.empty())
        fail(ErrorKind::corrupt, "the LVM label is not there");
    std::size_t at = load_le<std::uint32_t>(label.bytes.data() + kLabelContentOffset) + kDeviceSizeInHeader + 8;
    std::size_t areas = 0;
    for (unsigned lists_done = 0; lists_done < 2; at += 16) {
        if (at + 16 > kSector)
            fail(ErrorKind::corrupt, "the LVM label is damaged");
        const auto offset = load_le<std::uint64_t>(label.bytes.data() + at);
        if (offset == 0) {
            ++lists_done;
        } else if (lists_done == 1) {
            label.area_offset = offset;
            label.area_size = load_le<std::uint64_t>(label.bytes.data() + at + 8);
            ++areas;
        }
    }
    if (areas > 1)
        fail(ErrorKind::unsupported, "a physical volume keeps two copies of the text of its group");
    const std::byte* content = label.bytes.data() + load_le<std::uint32_t>(label.bytes.data() + kLabelContentOffset);
    label.identifier.assign(reinterpret_cast<const char*>(content), kIdentifierSize);
    return label;
}

class GroupGrowth {
  public:
    // Of the member with this identifier and size.
    GroupGrowth(std::string text, const std::string& identifier, std::uint64_t volume_size)
        : text_(std::move(text)), volume_size_(volume_size) {
        const std::vector<std::string> groups = text_.sections("");
        if (groups.size() != 1)
            fail(ErrorKind::corrupt, "the LVM metadata has another number of groups than one");
        group_ = groups.front();
        for (const std::string& member : text_.sections(group_ + "/physical_volumes")) {
            std::string named = text_.text(group_ + "/physical_volumes/" + member + "/id");
            std::erase(named, '-');
            if (named == identifier)
                member_ = member;
            identifiers_.push_back(std::move(named));
        }
        if (member_.empty())
            fail(ErrorKind::corrupt,
                 fmt::format("volume group {} does not know the physical volume that it is read from",
                             quote_untrusted(group_)));
        extent_size_ =
            checked_multiply(text_.number(group_ + "/extent_size"), std::uint64_t{kSector}, "LVM extent size");
        if (extent_size_ == 0)
            fail(ErrorKind::corrupt, "the LVM extent size is zero");
    }

    // What it adds, in bytes.
    std::uint64_t grow(const std::string& logical_volume) {
        const std::string member = group_ + "/physical_volumes/" + member_;
        const std::uint64_t begin =
            checked_multiply(text_.number(member + "/pe_start"), std::uint64_t{kSector}, "LVM extent area");
        const std::uint64_t old_count = text_.number(member + "/pe_count");
        const std::uint64_t count = volume_size_ < begin ? 0 : (volume_size_ - begin) / extent_size_;
        if (count <= old_count)
            fail(ErrorKind::unsupported, "the physical volume has no room for another extent");
        text_.set_number(group_ + "/seqno", text_.number(group_ + "/seqno") + 1);
        if (text_.has(member + "/dev_size"))
            text_.set_number(member + "/dev_size", volume_size_ / kSector);
        text_.set_number(member + "/pe_count", count);
        if (logical_volume.empty())
            return (count - old_count) * extent_size_;
        return grow_volume(logical_volume, count) * extent_size_;
    }

    std::string finish() { return text_.finish(); }
    const std::string& name() const { return group_; }
    // Of all members.
    const std::vector<std::string>& identifiers() const { return identifiers_; }

  private:
    // Behind the last extent that any volume has.
    std::uint64_t used_end() const {
        std::uint64_t end = 0;
        const std::string volumes = group_ + "/logical_volumes";
        for (const std::string& name : text_.sections(volumes))
            for (const std::string& segment : text_.sections(fmt::format("{}/{}", volumes, name))) {
                const std::string path = fmt::format("{}/{}/{}", volumes, name, segment);
                if (!text_.has(path + "/stripes"))
                    continue;
                const std::vector<std::string> stripes = text_.list(path + "/stripes");
                const std::uint64_t per_stripe =
                    divide_up(text_.number(path + "/extent_count"), std::max<std::uint64_t>(stripes.size() / 2, 1));
                for (std::size_t i = 0; i + 1 < stripes.size(); i += 2)
                    if (stripes[i] == member_)
                        end = std::max(end, checked_add(to_number(stripes[i + 1]), per_stripe, "LVM extents"));
            }
        return end;
    }

    static std::uint64_t to_number(const std::string& word) {
        if (word.empty() || word.size() > 18 || word.find_first_not_of("0123456789") != std::string::npos)
            fail(ErrorKind::corrupt, "the LVM metadata has a stripe at no number");
        return std::stoull(word);
    }

    void refuse_origins(const std::string& name) const {
        const std::string volumes = group_ + "/logical_volumes";
        for (const std::string& other : text_.sections(volumes))
            for (const std::string& segment : text_.sections(fmt::format("{}/{}", volumes, other)))
                for (const char* key : {"/origin", "/merging_store", "/external_origin"}) {
                    const std::string path = fmt::format("{}/{}/{}{}", volumes, other, segment, key);
                    if (text_.has(path) && text_.text(path) == name)
                        fail(ErrorKind::unsupported,
                             fmt::format("logical volume {} has snapshots", quote_untrusted(name)));
                }
    }

    // By how many extents.
    std::uint64_t grow_volume(const std::string& name, std::uint64_t count) {
        const std::string volume = group_ + "/logical_volumes/" + name;
        if (!text_.has_section(volume))
            fail(ErrorKind::unsupported, fmt::format("there is no logical volume {}", quote_untrusted(name)));
        refuse_origins(name);
        std::uint64_t size = 0;
        std::string last;
        const std::vector<std::string> segments = text_.sections(volume);
        for (const std::string& segment : segments) {
            const std::string path = fmt::format("{}/{}", volume, segment);
            if (text_.text(path + "/type") != "striped" || text_.number(path + "/stripe_count") != 1)
                fail(ErrorKind::unsupported, fmt::format("logical volume {} is not linear", quote_untrusted(name)));
            const std::uint64_t end =
                checked_add(text_.number(path + "/start_extent"), text_.number(path + "/extent_count"), "LVM extents");
            if (end > size) {
                size = end;
                last = path;
            }
        }
        if (last.empty() || text_.number(volume + "/segment_count") != segments.size())
            fail(ErrorKind::corrupt, fmt::format("logical volume {} has no segments", quote_untrusted(name)));
        const std::uint64_t begin = used_end();
        if (begin >= count)
            fail(ErrorKind::unsupported, "the physical volume has no free extent at its end");
        const std::vector<std::string> stripes = text_.list(last + "/stripes");
        const std::uint64_t last_count = text_.number(last + "/extent_count");
        if (stripes.size() == 2 && stripes[0] == member_ && to_number(stripes[1]) + last_count == begin) {
            text_.set_number(last + "/extent_count", last_count + (count - begin));
        } else {
            text_.set_number(volume + "/segment_count", segments.size() + 1);
            text_.append_to_section(
                volume, fmt::format("segment{} {{\nstart_extent = {}\nextent_count = {}\n\ntype = \"striped\"\n"
                                    "stripe_count = 1\n\nstripes = [\n\"{}\", {}\n]\n}}\n",
                                    segments.size() + 1, size, count - begin, member_, begin));
        }
        return count - begin;
    }

    lvm::LocatedText text_;
    std::uint64_t volume_size_;
    std::string group_;
    std::string member_;
    std::vector<std::string> identifiers_;
    std::uint64_t extent_size_ = 0;
};

// The new text behind the old one in the ring, and the header that names it.
void add_text_writes(const BlockDevice& volume, const Label& label, const std::string& text, std::size_t member,
                     LvmGrowth& growth) {
    std::vector<std::byte> header = read_bytes(volume, label.area_offset, kAreaHeader);
    std::byte* location = header.data() + kLocation;
    const auto old_offset = load_le<std::uint64_t>(location);
    const auto old_size = load_le<std::uint64_t>(location + 8);
    const std::uint64_t ring = label.area_size - kAreaHeader;
    if (text.size() > ring || align_up(old_size, kSector) + text.size() > ring)
        fail(ErrorKind::limit, "the area of the LVM metadata has no room for another text");
    std::uint64_t offset = align_up(old_offset + old_size, kSector);
    if (offset >= label.area_size)
        offset -= ring;
    const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
    const std::size_t first = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), label.area_size - offset));
    growth.writes.push_back(
        {member, label.area_offset + offset, {bytes.begin(), bytes.begin() + static_cast<long>(first)}});
    if (first < bytes.size())
        growth.writes.push_back(
            {member, label.area_offset + kAreaHeader, {bytes.begin() + static_cast<long>(first), bytes.end()}});
    store_le(location, offset);
    store_le(location + 8, std::uint64_t{text.size()});
    store_le(location + 16, checksum(bytes));
    store_le(header.data(), checksum(std::span(header).subspan(4)));
    growth.writes.push_back({member, label.area_offset, std::move(header)});
}

struct Member {
    std::size_t index; // in what was given
    Label label;
    std::string text; // empty: it keeps none
};

// The group's members, the first of those given ahead; what belongs to other groups is left out.
std::vector<Member> find_members(const std::vector<std::shared_ptr<const BlockDevice>>& given,
                                 const GroupGrowth& group) {
    std::vector<Member> members;
    for (std::size_t i = 0; i < given.size(); ++i) {
        Label label = read_label(*given[i]);
        if (std::ranges::find(group.identifiers(), label.identifier) == group.identifiers().end())
            continue;
        std::string text = label.area_offset == 0 ? "" : lvm::read_metadata_text(*given[i]);
        members.push_back({i, std::move(label), std::move(text)});
    }
    if (members.size() != group.identifiers().size())
        fail(ErrorKind::unsupported,
             fmt::format("volume group {} has {} physical volumes, and {} of them can be written here",
                         quote_untrusted(group.name()), group.identifiers().size(), members.size()));
    return members;
}

// What the group says of itself, by the first member that keeps it.
std::string text_of_group(const std::vector<std::shared_ptr<const BlockDevice>>& given) {
    if (std::string own = lvm::read_metadata_text(*given.front()); !own.empty())
        return own;
    // It does not say which group it belongs to; the text of its own names it.
    const std::string identifier = read_label(*given.front()).identifier;
    for (const std::shared_ptr<const BlockDevice>& other : given) {
        std::string text = lvm::read_metadata_text(*other);
        std::string plain = text;
        std::erase(plain, '-');
        if (plain.find('"' + identifier + '"') != std::string::npos)
            return text;
    }
    fail(ErrorKind::unsupported, "no physical volume keeps the text of the group");
}

} // namespace

LvmGrowth grow_physical_volume(const std::vector<std::shared_ptr<const BlockDevice>>& given,
                               const std::string& logical_volume) {
    const BlockDevice& volume = *given.front();
    const std::string text = text_of_group(given);
    GroupGrowth group(text, read_label(volume).identifier, volume.size());
    std::vector<Member> members = find_members(given, group);
    LvmGrowth growth;
    growth.added = group.grow(logical_volume);
    const std::string new_text = group.finish();
    for (const Member& member : members) {
        if (member.label.area_offset == 0)
            continue;
        if (member.text != text)
            fail(ErrorKind::corrupt, fmt::format("the physical volumes of volume group {} tell different things of it",
                                                 quote_untrusted(group.name())));
        add_text_writes(*given[member.index], member.label, new_text, member.index, growth);
    }
    Label& label = members.front().label;
    std::byte* content = label.bytes.data() + load_le<std::uint32_t>(label.bytes.data() + kLabelContentOffset);
    store_le(content + kDeviceSizeInHeader, volume.size());
    store_le(label.bytes.data() + kLabelChecksum, checksum(std::span(label.bytes).subspan(kLabelContentOffset)));
    growth.writes.push_back({0, label.offset, std::move(label.bytes)});
    return growth;
}

} // namespace vm2oci
