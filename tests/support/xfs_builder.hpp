// Small xfs images for tests, made by hand: every structure at a known place, to be broken one by one.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::test {

// One operation of a log record: the bytes behind its header.
struct XfsLogOperation {
    std::uint32_t transaction;
    unsigned flags; // as on the disk: 0x01 start, 0x02 commit, 0x04 goes on, 0x08 went on
    std::vector<std::byte> body;
    unsigned client = 0x69;
};

// 1 MiB in two groups of 512 blocks of 1 KiB: headers in the blocks 0 and 1, lists of free space in 2 and 3, inodes in
// 4 to 19 of the first group (numbers 8 to 39), its log in 32 to 63, content from 64 on.
class XfsBuilder {
  public:
    enum class Version { v4, v5 };
    enum class TypesInFolders { yes, no };

    static constexpr std::size_t kBlock = 1024;
    static constexpr std::size_t kInode = 512;
    static constexpr std::size_t kGroupBlocks = 512;
    static constexpr std::size_t kLogBlock = 32;
    static constexpr std::size_t kLogSectors = 64;
    static constexpr std::uint64_t kRoot = 8;
    static constexpr std::uint64_t kLast = 39;

    explicit XfsBuilder(Version version = Version::v5, TypesInFolders types = TypesInFolders::yes);

    bool is_v5() const { return version_ == Version::v5; }
    std::size_t core() const { return is_v5() ? 176 : 100; }

    // The next blocks that nothing lies in; numbers within the first group.
    std::size_t take(std::size_t blocks = 1);

    // A fork is the bytes of it; `format` 1 local, 2 extents, 3 tree.
    void add_inode(std::uint64_t number, unsigned mode, unsigned format, std::span<const std::byte> fork,
                   std::uint64_t size, std::uint32_t extents = 0, std::uint32_t links = 1);
    // Behind `at` bytes of content's fork, a multiple of eight.
    void add_attributes(std::uint64_t number, std::size_t at, unsigned format, std::span<const std::byte> fork,
                        unsigned extents = 0);

    struct Extent {
        std::uint64_t logical;
        std::uint64_t block;
        std::uint32_t count;
        bool is_unwritten = false;
    };
    static std::vector<std::byte> extent_list(std::span<const Extent> extents);
    struct Name {
        std::string text;
        std::uint64_t inode;
        unsigned type = 1;
    };
    std::vector<std::byte> short_folder(std::uint64_t parent, std::span<const Name> names) const;
    // `single`: with its index behind the names, as the only block of a small folder.
    enum class FolderForm { single, names };
    void put_folder_block(std::size_t block, std::uint64_t owner, std::span<const Name> names, FolderForm form);
    void put_extent_leaf(std::size_t block, std::uint64_t owner, std::span<const Extent> extents);
    void put_extent_node(std::size_t block, std::uint64_t owner, unsigned level,
                         std::span<const std::uint64_t> children);
    static std::vector<std::byte> extent_root(unsigned level, std::span<const std::uint64_t> children,
                                              std::size_t fork_bytes);
    struct Attribute {
        std::string name;
        std::string value;       // in the leaf, unless `block` is given
        unsigned flags = 0x01;   // 1 local, 2 root, 4 secure, 0x80 incomplete
        std::uint32_t block = 0; // of the fork, where a value of `length` lies
        std::uint32_t length = 0;
    };
    static std::vector<std::byte> short_attributes(std::span<const Attribute> attributes);
    void put_attribute_leaf(std::size_t block, std::uint64_t owner, std::span<const Attribute> attributes,
                            std::uint32_t next = 0);
    void put_attribute_node(std::size_t block, std::uint64_t owner, unsigned level, std::uint32_t first_child);
    void put_remote(std::size_t block, std::uint64_t owner, std::string_view magic, std::size_t offset,
                    std::string_view bytes);

    // From sector 0 of the log on; without any it holds the record of an unmount.
    void put_log(const std::vector<std::vector<XfsLogOperation>>& records, std::uint32_t cycle = 1);

    // Writes superblock, headers, lists of free space, and every checksum.
    void finish();
    // Every checksum once more, after the image was changed.
    void seal();

    std::byte* at(std::size_t offset) { return bytes_.data() + offset; }
    std::byte* block(std::size_t number) { return at(number * kBlock); }
    std::byte* inode(std::uint64_t number) { return at(static_cast<std::size_t>(number) * kInode); }
    void put8(std::size_t offset, unsigned value) { bytes_[offset] = static_cast<std::byte>(value); }
    void put16(std::size_t offset, unsigned value);
    void put32(std::size_t offset, std::uint32_t value);
    void put64(std::size_t offset, std::uint64_t value);

    std::shared_ptr<const BlockDevice> device() const;
    std::span<const std::byte> bytes() const { return bytes_; }

  private:
    struct Seal {
        std::size_t offset;
        std::size_t length;
        std::size_t checksum;
    };
    void put_header(std::size_t offset, std::size_t length, std::size_t checksum, std::size_t address, std::size_t uuid,
                    std::size_t owner, std::uint64_t number);
    void put_superblock();
    void put_group(std::size_t group);

    Version version_;
    TypesInFolders types_;
    std::vector<std::byte> bytes_;
    std::vector<Seal> seals_;
    std::size_t next_ = 64;
    bool has_log_ = false;
};

// Bytes of integers, to put together what stands in forks and logs.
class XfsBytes {
  public:
    template <class T>
    XfsBytes& be(T value) {
        for (std::size_t i = sizeof value; i-- > 0;)
            bytes.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
        return *this;
    }
    template <class T>
    XfsBytes& le(T value) {
        for (std::size_t i = 0; i < sizeof value; ++i)
            bytes.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
        return *this;
    }
    XfsBytes& text(std::string_view value) {
        for (const char c : value)
            bytes.push_back(static_cast<std::byte>(c));
        return *this;
    }
    XfsBytes& zeros(std::size_t count) {
        bytes.resize(bytes.size() + count);
        return *this;
    }
    std::vector<std::byte> bytes;
};

} // namespace vm2oci::test
