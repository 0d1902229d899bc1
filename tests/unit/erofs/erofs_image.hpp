// An EROFS image read by the format's own description (Linux, fs/erofs/erofs_fs.h and super.c, inode.c, dir.c, xattr.c;
// Documentation/filesystems/erofs.rst), with the checks that the kernel makes on its way. Shares no code with what
// writes it.
#pragma once

#include "formats/block/block_device.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace vm2oci::test {

struct ErofsInode {
    std::uint64_t number = 0;
    unsigned format = 0;
    unsigned attribute_words = 0; // i_xattr_icount
    unsigned mode = 0;
    std::uint64_t size = 0;
    std::uint32_t block_or_device = 0;
    std::uint32_t stated_number = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
    std::uint32_t links = 0;
    std::uint64_t at = 0; // bytes from the beginning of the image
    bool is_inline() const { return (format >> 1) == 2; }
};

struct ErofsName {
    std::string name;
    std::uint64_t inode = 0;
    unsigned type = 0;
};

class ErofsImage {
  public:
    static constexpr std::uint64_t kBlock = 4096;

    explicit ErofsImage(const BlockDevice& disk) : disk_(disk) {
        require(u32(1024) == 0xe0f5e1e2, "no magic");
        require(u8(1024 + 12) == 12, "blocks of another size");
        require((u32(1024 + 80) == 0), "features that old kernels do not know");
    }

    // Fields of the superblock by their offsets in it.
    std::uint8_t u8(std::uint64_t at) const { return static_cast<std::uint8_t>(number(at, 1)); }
    std::uint16_t u16(std::uint64_t at) const { return static_cast<std::uint16_t>(number(at, 2)); }
    std::uint32_t u32(std::uint64_t at) const { return static_cast<std::uint32_t>(number(at, 4)); }
    std::uint64_t u64(std::uint64_t at) const { return number(at, 8); }
    std::string text(std::uint64_t at, std::size_t length) const {
        std::string bytes(length, '\0');
        if (length != 0)
            disk_.read_at(at, std::as_writable_bytes(std::span(bytes)));
        return bytes;
    }

    std::uint64_t root() const { return u16(1024 + 14); }
    std::uint64_t blocks() const { return u32(1024 + 36); }
    std::uint64_t inodes_at() const { return u32(1024 + 40) * kBlock; }

    ErofsInode inode(std::uint64_t nid) const {
        ErofsInode inode;
        inode.number = nid;
        inode.at = inodes_at() + nid * 32;
        require(inode.at % kBlock + 64 <= kBlock, "an inode crosses the border of a block");
        inode.format = u16(inode.at);
        require((inode.format & 1) == 1 && (inode.format >> 4) == 0, "not the long form");
        inode.attribute_words = u16(inode.at + 2);
        inode.mode = u16(inode.at + 4);
        require(u16(inode.at + 6) == 0, "reserved");
        inode.size = u64(inode.at + 8);
        inode.block_or_device = u32(inode.at + 16);
        inode.stated_number = u32(inode.at + 20);
        inode.uid = u32(inode.at + 24);
        inode.gid = u32(inode.at + 28);
        inode.seconds = static_cast<std::int64_t>(u64(inode.at + 32));
        inode.nanoseconds = u32(inode.at + 40);
        inode.links = u32(inode.at + 44);
        require(text(inode.at + 48, 16) == std::string(16, '\0'), "reserved at the end");
        return inode;
    }

    // erofs_map_blocks(): plain blocks one behind another, or the tail behind inode and attributes.
    std::string content(const ErofsInode& inode) const {
        if (!inode.is_inline()) {
            require(inode.format >> 1 == 0, "another layout");
            const std::uint64_t begin = inode.block_or_device * kBlock;
            require(begin + inode.size <= blocks() * kBlock, "content beyond the end");
            require(inode.size == 0 || inode.block_or_device != 0, "content in the superblock's block");
            return text(begin, static_cast<std::size_t>(inode.size));
        }
        require(inode.size < kBlock, "more than a tail");
        const std::uint64_t begin = inode.at + 64 + attribute_bytes(inode);
        require(begin / kBlock == (begin + inode.size - 1) / kBlock, "inline data crosses the border of a block");
        return text(begin, static_cast<std::size_t>(inode.size));
    }

    // A folder as erofs_readdir() walks it.
    std::vector<ErofsName> names(const ErofsInode& folder) const {
        require((folder.mode & 0170000) == 0040000, "no folder");
        const std::string all = content(folder);
        std::vector<ErofsName> names;
        for (std::size_t block = 0; block < all.size(); block += kBlock) {
            const std::string part = all.substr(block, kBlock);
            const auto word = [&](std::size_t at, unsigned size) {
                std::uint64_t value = 0;
                for (unsigned i = 0; i < size; ++i)
                    value |= std::uint64_t{static_cast<unsigned char>(part.at(at + i))} << (8 * i);
                return value;
            };
            const std::size_t first_name = static_cast<std::size_t>(word(8, 2));
            require(first_name >= 12 && first_name < part.size() && first_name % 12 == 0, "a bad offset of names");
            const std::size_t count = first_name / 12;
            for (std::size_t i = 0; i < count; ++i) {
                const auto begin = static_cast<std::size_t>(word(i * 12 + 8, 2));
                const std::size_t end =
                    i + 1 < count ? static_cast<std::size_t>(word((i + 1) * 12 + 8, 2)) : part.size();
                require(begin < end && end <= part.size(), "a name's bounds");
                std::string name = part.substr(begin, end - begin);
                if (i + 1 == count)
                    name.resize(std::min(name.find('\0'), name.size()));
                require(!name.empty() && name.size() <= 255, "a name's length");
                require(word(i * 12 + 11, 1) == 0, "reserved in an entry");
                names.push_back({name, word(i * 12, 8), static_cast<unsigned>(word(i * 12 + 10, 1))});
            }
        }
        return names;
    }

    // erofs_namei(): a binary search needs them in order, over all blocks.
    std::uint64_t find(const std::string& path) const {
        std::uint64_t at = root();
        for (std::size_t begin = 0; begin < path.size();) {
            const std::size_t end = std::min(path.find('/', begin), path.size());
            const std::string part = path.substr(begin, end - begin);
            std::uint64_t next = 0;
            for (const ErofsName& name : names(inode(at)))
                if (name.name == part)
                    next = name.inode;
            require(next != 0, "no such file");
            at = next;
            begin = end + 1;
        }
        return at;
    }

    std::map<std::string, std::string> attributes(const ErofsInode& inode) const {
        static const std::map<unsigned, std::string> kPrefixes = {{1, "user."},
                                                                  {2, "system.posix_acl_access"},
                                                                  {3, "system.posix_acl_default"},
                                                                  {4, "trusted."},
                                                                  {6, "security."}};
        std::map<std::string, std::string> all;
        if (inode.attribute_words == 0)
            return all;
        const std::uint64_t begin = inode.at + 64;
        const std::uint64_t end = begin + attribute_bytes(inode);
        require(u8(begin + 4) == 0, "shared attributes");
        for (std::uint64_t at = begin + 12; at < end;) {
            const std::size_t name = u8(at);
            const std::size_t value = u16(at + 2);
            require(at + 4 + name + value <= end, "an attribute beyond the end");
            all[kPrefixes.at(u8(at + 1)) + text(at + 4, name)] = text(at + 4 + name, value);
            at += (4 + name + value + 3) / 4 * 4;
            require(at <= end, "an attribute's padding beyond the end");
        }
        return all;
    }

  private:
    static void require(bool is_so, const char* what) {
        if (!is_so)
            throw std::runtime_error(what);
    }
    // erofs_xattr_ibody_size()
    static std::uint64_t attribute_bytes(const ErofsInode& inode) {
        return inode.attribute_words == 0 ? 0 : 12 + (std::uint64_t{inode.attribute_words} - 1) * 4;
    }
    std::uint64_t number(std::uint64_t at, unsigned size) const {
        std::array<std::byte, 8> raw{};
        disk_.read_at(at, std::span(raw).first(size));
        std::uint64_t value = 0;
        for (unsigned i = 0; i < size; ++i)
            value |= std::to_integer<std::uint64_t>(raw[i]) << (8 * i);
        return value;
    }

    const BlockDevice& disk_;
};

} // namespace vm2oci::test
