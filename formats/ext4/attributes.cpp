#include "formats/ext4/attributes.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/ext4/extents.hpp"

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

constexpr std::size_t kEntryHeader = 16;
constexpr std::size_t kBlockHeader = 32;
constexpr unsigned kIndexSystem = 7;
constexpr std::uint32_t kAttributeMagic = 0xea020000;

// fs/ext4/xattr.h; what is not named here is not listed by the kernel either.
std::optional<std::string> full_name(unsigned index, std::string_view name) {
    constexpr std::array<std::string_view, 9> kPrefixes = {
        "",          "user.",   "system.posix_acl_access", "system.posix_acl_default", "trusted.", "",
        "security.", "system.", "system.richacl"};
    if (index == 0 || index >= kPrefixes.size() || kPrefixes[index].empty())
        return std::nullopt;
    if (index == kIndexSystem && name == "data") // the content of a small file
        return std::nullopt;
    return std::string(kPrefixes[index]) + std::string(name);
}

[[noreturn]] void fail_corrupt() {
    fail(ErrorKind::corrupt, "the extended attributes of a file are damaged");
}

class AttributeReader {
  public:
    explicit AttributeReader(const Ext4Library& library) : library_(library) {}

    // Entries from `entries_at` in `area`; the offsets of values count from `values_at`.
    void read(std::span<const std::byte> area, std::size_t entries_at, std::size_t values_at) {
        std::size_t at = entries_at;
        for (;;) {
            if (at + 4 > area.size())
                fail_corrupt();
            if (load_le<std::uint32_t>(area.data() + at) == 0)
                return;
            if (at + kEntryHeader > area.size())
                fail_corrupt();
            const std::byte* entry = area.data() + at;
            const std::size_t name_length = std::to_integer<std::size_t>(entry[0]);
            const unsigned index = std::to_integer<unsigned>(entry[1]);
            const std::size_t offset = load_le<std::uint16_t>(entry + 2);
            const std::uint32_t value_inode = load_le<std::uint32_t>(entry + 4);
            const std::uint32_t size = load_le<std::uint32_t>(entry + 8);
            if (at + kEntryHeader + name_length > area.size() || size > kMaxAttributeBytes)
                fail_corrupt();
            const std::string_view name(reinterpret_cast<const char*>(entry + kEntryHeader), name_length);
            if (std::optional<std::string> full = full_name(index, name)) {
                std::string value;
                if (value_inode != 0) {
                    value = read_value_inode(value_inode, size);
                } else if (size != 0) {
                    if (values_at + offset > area.size() || size > area.size() - values_at - offset)
                        fail_corrupt();
                    value.assign(reinterpret_cast<const char*>(area.data() + values_at + offset), size);
                }
                if (*full == "system.posix_acl_access" || *full == "system.posix_acl_default")
                    value = convert_acl(value);
                found_.push_back({std::move(*full), std::move(value)});
            }
            at += (kEntryHeader + name_length + 3) & ~std::size_t{3};
        }
    }

    std::vector<ExtendedAttribute> finish() {
        std::sort(found_.begin(), found_.end());
        for (std::size_t i = 1; i < found_.size(); ++i)
            if (found_[i].name == found_[i - 1].name)
                fail_corrupt();
        return std::move(found_);
    }

  private:
    std::string read_value_inode(std::uint32_t number, std::uint32_t size) {
        ext2_inode_large inode{};
        library_.check(
            ext2fs_read_inode_full(library_.handle(), number, reinterpret_cast<ext2_inode*>(&inode), sizeof inode),
            "reading the inode of an extended attribute");
        if ((inode.i_flags & EXT4_EA_INODE_FL) == 0 || (inode.i_flags & EXT4_INLINE_DATA_FL) != 0 ||
            (EXT2_I_SIZE(&inode)) != size)
            fail_corrupt();
        const std::vector<Ext4Extent> extents = read_extents(library_, number, inode);
        std::string value(size, '\0');
        read_content(library_, extents, 0, std::as_writable_bytes(std::span(value)));
        return value;
    }

    const Ext4Library& library_;
    std::vector<ExtendedAttribute> found_;
};

} // namespace

std::string convert_acl(std::string_view stored) {
    constexpr std::uint16_t kUser = 0x02;
    constexpr std::uint16_t kGroup = 0x08;
    constexpr std::uint32_t kVersionOnDisk = 1;
    constexpr std::uint32_t kVersionOfCall = 2;
    constexpr std::uint32_t kNobody = ~0u;
    const auto* at = reinterpret_cast<const std::byte*>(stored.data());
    const auto* end = at + stored.size();
    if (stored.size() < 4 || load_le<std::uint32_t>(at) != kVersionOnDisk)
        fail(ErrorKind::corrupt, "an access control list is damaged");
    at += 4;
    std::vector<std::byte> out(4);
    store_le<std::uint32_t>(out.data(), kVersionOfCall);
    while (at != end) {
        if (end - at < 4)
            fail(ErrorKind::corrupt, "an access control list is damaged");
        const std::uint16_t tag = load_le<std::uint16_t>(at);
        const std::uint16_t permissions = load_le<std::uint16_t>(at + 2);
        at += 4;
        std::uint32_t id = kNobody;
        if (tag == kUser || tag == kGroup) {
            if (end - at < 4)
                fail(ErrorKind::corrupt, "an access control list is damaged");
            id = load_le<std::uint32_t>(at);
            at += 4;
        }
        const std::size_t place = out.size();
        out.resize(place + 8);
        store_le<std::uint16_t>(out.data() + place, tag);
        store_le<std::uint16_t>(out.data() + place + 2, permissions);
        store_le<std::uint32_t>(out.data() + place + 4, id);
    }
    return {reinterpret_cast<const char*>(out.data()), out.size()};
}

std::vector<ExtendedAttribute> read_attributes(const Ext4Library& library, ext2_ino_t number,
                                               std::span<const std::byte> raw) {
    AttributeReader reader(library);
    if (raw.size() > EXT2_GOOD_OLD_INODE_SIZE) {
        const std::size_t extra = load_le<std::uint16_t>(raw.data() + EXT2_GOOD_OLD_INODE_SIZE);
        const std::size_t header = EXT2_GOOD_OLD_INODE_SIZE + extra;
        if (extra != 0 && (extra % 4 != 0 || header > raw.size()))
            fail_corrupt();
        if (extra != 0 && header + 8 <= raw.size() && load_le<std::uint32_t>(raw.data() + header) == kAttributeMagic)
            reader.read(raw, header + 4, header + 4);
    }
    ext2_inode_large inode{};
    std::copy_n(raw.begin(), std::min(raw.size(), sizeof inode), reinterpret_cast<std::byte*>(&inode));
    const ext2_inode* small = reinterpret_cast<const ext2_inode*>(&inode);
    const std::uint64_t block = ext2fs_file_acl_block(library.handle(), small);
    if (block != 0) {
        if (block >= ext2fs_blocks_count(library.handle()->super))
            fail_corrupt();
        std::vector<std::byte> bytes(library.handle()->blocksize);
        library.check(ext2fs_read_ext_attr3(library.handle(), block, bytes.data(), number),
                      "reading extended attributes");
        if (load_le<std::uint32_t>(bytes.data()) != kAttributeMagic || load_le<std::uint32_t>(bytes.data() + 8) != 1)
            fail_corrupt();
        reader.read(bytes, kBlockHeader, 0);
    }
    return reader.finish();
}

} // namespace vm2oci
