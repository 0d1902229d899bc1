#include "formats/xfs/attributes.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

namespace vm2oci::xfs {
namespace {

constexpr unsigned kLeafMagic4 = 0xfbee;
constexpr unsigned kLeafMagic5 = 0x3bee;
constexpr unsigned kNodeMagic4 = 0xfebe;
constexpr unsigned kNodeMagic5 = 0x3ebe;
constexpr std::size_t kBlockInfo4 = 12;
constexpr std::size_t kBlockInfo5 = 56;
constexpr std::size_t kLeafHeader4 = 32;
constexpr std::size_t kLeafHeader5 = 80;
constexpr std::size_t kNodeHeader4 = 16;
constexpr std::size_t kNodeHeader5 = 64;
constexpr std::size_t kHashEntry = 8;
constexpr std::uint32_t kRemoteMagic = 0x5841524d; // "XARM"
constexpr std::size_t kRemoteHeader5 = 56;
constexpr unsigned kMaxHashLevel = 5; // XFS_DA_NODE_MAXDEPTH

constexpr unsigned kAttributeLocal = 0x01;
constexpr unsigned kAttributeRoot = 0x02;
constexpr unsigned kAttributeSecure = 0x04;
constexpr unsigned kAttributeParent = 0x08;
constexpr unsigned kAttributeIncomplete = 0x80;

constexpr std::uint64_t kMaxValue = 64 * KiB;
// listxattr(2) shows 64 KiB of names at most; files with more than a few values are rare.
constexpr std::uint64_t kMaxAllValues = 32 * MiB;

std::optional<std::string> name_to_show(unsigned flags, std::string_view name) {
    if ((flags & (kAttributeIncomplete | kAttributeParent)) != 0)
        return std::nullopt;
    if ((flags & kAttributeRoot) != 0) {
        if (name == "SGI_ACL_FILE")
            return "system.posix_acl_access";
        if (name == "SGI_ACL_DEFAULT")
            return "system.posix_acl_default";
        return "trusted." + std::string(name);
    }
    return ((flags & kAttributeSecure) != 0 ? "security." : "user.") + std::string(name);
}

class AttributeReader {
  public:
    AttributeReader(const Volume& volume, const Inode& inode) : volume_(volume), inode_(inode) {}

    void add_short_form() {
        const std::span<const std::byte> all = inode_.attributes.bytes;
        if (all.size() < 4)
            damaged();
        const std::size_t size = load_be<std::uint16_t>(all.data());
        const std::size_t count = std::to_integer<std::size_t>(all[2]);
        if (size < 4 || size > all.size())
            damaged();
        std::size_t at = 4;
        for (std::size_t i = 0; i < count; ++i) {
            if (size - at < 3)
                damaged();
            const std::size_t name_length = std::to_integer<std::size_t>(all[at]);
            const std::size_t value_length = std::to_integer<std::size_t>(all[at + 1]);
            const unsigned flags = std::to_integer<unsigned>(all[at + 2]);
            at += 3;
            if (size - at < name_length + value_length)
                damaged();
            add(flags, text(all, at, name_length), std::string(text(all, at + name_length, value_length)));
            at += name_length + value_length;
        }
    }

    void add_blocks() {
        extents_ = read_extents(volume_, inode_, inode_.attributes);
        check_unshared(extents_, inode_.number);
        std::set<std::uint32_t> seen;
        for (std::uint32_t block = find_first_leaf();;) {
            if (!seen.insert(block).second)
                fail(ErrorKind::corrupt,
                     fmt::format("the extended attributes of inode {} go in circles", inode_.number));
            read_block(block);
            if (magic() != (volume_.is_v5() ? kLeafMagic5 : kLeafMagic4))
                damaged();
            add_leaf();
            block = load_be<std::uint32_t>(block_.data());
            if (block == 0)
                return;
        }
    }

    std::vector<ExtendedAttribute> finish() {
        std::sort(found_.begin(), found_.end());
        for (std::size_t i = 1; i < found_.size(); ++i)
            if (found_[i].name == found_[i - 1].name)
                damaged();
        return std::move(found_);
    }

  private:
    [[noreturn]] void damaged() const {
        fail(ErrorKind::corrupt, fmt::format("the extended attributes of inode {} are damaged", inode_.number));
    }
    static std::string_view text(std::span<const std::byte> bytes, std::size_t at, std::size_t length) {
        return {reinterpret_cast<const char*>(bytes.data() + at), length};
    }
    unsigned magic() const { return load_be<std::uint16_t>(block_.data() + 8); }

    void read_block(std::uint64_t block) {
        block_.resize(static_cast<std::size_t>(volume_.geometry().block_size));
        const std::uint64_t offset = read_mapped(volume_, extents_, block, block_, "an attribute list");
        volume_.check_header(block_, offset, kHashTreeHeader, inode_.number, "an attribute list");
    }

    std::uint32_t find_first_leaf() {
        std::uint32_t block = 0;
        unsigned above = kMaxHashLevel + 1;
        for (;;) {
            read_block(block);
            if (magic() != (volume_.is_v5() ? kNodeMagic5 : kNodeMagic4))
                return block;
            const std::size_t info = volume_.is_v5() ? kBlockInfo5 : kBlockInfo4;
            const std::size_t header = volume_.is_v5() ? kNodeHeader5 : kNodeHeader4;
            const unsigned count = load_be<std::uint16_t>(block_.data() + info);
            const unsigned level = load_be<std::uint16_t>(block_.data() + info + 2);
            if (count == 0 || level == 0 || level >= above)
                damaged();
            above = level;
            block = load_be<std::uint32_t>(block_.data() + header + 4);
        }
    }

    void add_leaf() {
        const std::size_t info = volume_.is_v5() ? kBlockInfo5 : kBlockInfo4;
        const std::size_t header = volume_.is_v5() ? kLeafHeader5 : kLeafHeader4;
        const std::size_t count = load_be<std::uint16_t>(block_.data() + info);
        if (count > (block_.size() - header) / kHashEntry)
            damaged();
        // Values that lie in other blocks are read meanwhile.
        const std::vector<std::byte> leaf = block_;
        for (std::size_t i = 0; i < count; ++i) {
            const std::byte* entry = leaf.data() + header + i * kHashEntry;
            const std::size_t at = load_be<std::uint16_t>(entry + 4);
            const unsigned flags = std::to_integer<unsigned>(entry[6]);
            if (at < header + count * kHashEntry)
                damaged();
            if ((flags & kAttributeLocal) != 0)
                add_local(leaf, at, flags);
            else
                add_remote(leaf, at, flags);
        }
    }

    void add_local(std::span<const std::byte> leaf, std::size_t at, unsigned flags) {
        if (at + 3 > leaf.size())
            damaged();
        const std::size_t value_length = load_be<std::uint16_t>(leaf.data() + at);
        const std::size_t name_length = std::to_integer<std::size_t>(leaf[at + 2]);
        at += 3;
        if (leaf.size() - at < name_length + value_length)
            damaged();
        add(flags, text(leaf, at, name_length), std::string(text(leaf, at + name_length, value_length)));
    }

    void add_remote(std::span<const std::byte> leaf, std::size_t at, unsigned flags) {
        if (at + 9 > leaf.size())
            damaged();
        const std::uint32_t block = load_be<std::uint32_t>(leaf.data() + at);
        const std::uint32_t length = load_be<std::uint32_t>(leaf.data() + at + 4);
        const std::size_t name_length = std::to_integer<std::size_t>(leaf[at + 8]);
        if (leaf.size() - at - 9 < name_length)
            damaged();
        const std::string_view name = text(leaf, at + 9, name_length);
        // One that is being made or removed has no value that could be read.
        if (name_to_show(flags, name))
            add(flags, name, read_value(block, length));
    }

    std::string read_value(std::uint64_t block, std::uint64_t length) {
        if (length == 0 || length > kMaxValue)
            damaged();
        const std::size_t header = volume_.is_v5() ? kRemoteHeader5 : 0;
        std::string value;
        std::vector<std::byte> bytes(static_cast<std::size_t>(volume_.geometry().block_size));
        while (value.size() < length) {
            const std::uint64_t offset = read_mapped(volume_, extents_, block++, bytes, "the value of an attribute");
            const std::uint64_t step = std::min<std::uint64_t>(length - value.size(), bytes.size() - header);
            if (volume_.is_v5()) {
                volume_.check_header(bytes, offset, kRemoteHeader, inode_.number, "the value of an attribute");
                if (load_be<std::uint32_t>(bytes.data()) != kRemoteMagic ||
                    load_be<std::uint32_t>(bytes.data() + 4) != value.size() ||
                    load_be<std::uint32_t>(bytes.data() + 8) != step)
                    damaged();
            }
            value += text(bytes, header, static_cast<std::size_t>(step));
        }
        return value;
    }

    void add(unsigned flags, std::string_view name, std::string value) {
        std::optional<std::string> shown = name_to_show(flags, name);
        if (!shown)
            return;
        if (name.empty() || name.find('\0') != std::string_view::npos)
            damaged();
        all_values_ += value.size() + name.size();
        if (all_values_ > kMaxAllValues)
            fail(ErrorKind::limit,
                 fmt::format("inode {} has more extended attributes than any real file", inode_.number));
        if (shown->starts_with("system.posix_acl_"))
            value = convert_stored_acl(value);
        found_.push_back({std::move(*shown), std::move(value)});
    }

    const Volume& volume_;
    const Inode& inode_;
    std::vector<MappedExtent> extents_;
    std::vector<std::byte> block_;
    std::vector<ExtendedAttribute> found_;
    std::uint64_t all_values_ = 0;
};

} // namespace

std::string convert_stored_acl(std::string_view stored) {
    constexpr std::uint32_t kUser = 0x02;
    constexpr std::uint32_t kGroup = 0x08;
    constexpr std::uint32_t kNobody = ~0u;
    constexpr std::uint32_t kVersionOfCall = 2;
    constexpr std::size_t kStoredEntry = 12; // tag, id, permissions, padding
    constexpr std::size_t kShownEntry = 8;
    const auto* at = reinterpret_cast<const std::byte*>(stored.data());
    if (stored.size() < 4 || load_be<std::uint32_t>(at) != (stored.size() - 4) / kStoredEntry ||
        (stored.size() - 4) % kStoredEntry != 0)
        fail(ErrorKind::corrupt, "an access control list is damaged");
    std::vector<std::byte> shown(4 + (stored.size() - 4) / kStoredEntry * kShownEntry);
    store_le<std::uint32_t>(shown.data(), kVersionOfCall);
    std::byte* out = shown.data() + 4;
    for (at += 4; out != shown.data() + shown.size(); at += kStoredEntry, out += kShownEntry) {
        const std::uint32_t tag = load_be<std::uint32_t>(at);
        store_le<std::uint16_t>(out, checked_cast<std::uint16_t>(tag, "the tag of an access control list"));
        store_le<std::uint16_t>(out + 2, load_be<std::uint16_t>(at + 8));
        store_le<std::uint32_t>(out + 4, tag == kUser || tag == kGroup ? load_be<std::uint32_t>(at + 4) : kNobody);
    }
    return {reinterpret_cast<const char*>(shown.data()), shown.size()};
}

std::vector<ExtendedAttribute> read_attributes(const Volume& volume, const Inode& inode) {
    if (!inode.has_attributes)
        return {};
    AttributeReader reader(volume, inode);
    if (inode.attributes.format == ForkFormat::local)
        reader.add_short_form();
    else if (inode.attributes.extents != 0 || inode.attributes.format == ForkFormat::tree)
        reader.add_blocks();
    return reader.finish();
}

} // namespace vm2oci::xfs
