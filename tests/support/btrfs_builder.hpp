// Small btrfs images for tests, made by hand: trees as lists of items, packed into blocks at the end, to be broken one
// by one.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/btrfs/checksum.hpp"
#include "formats/btrfs/volume.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::test {

// Little-endian bytes, one behind another.
struct BtrfsBytes {
    std::vector<std::byte> bytes;

    template <class T>
    BtrfsBytes& le(T value) {
        for (std::size_t i = 0; i < sizeof value; ++i)
            bytes.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i)));
        return *this;
    }
    BtrfsBytes& key(const btrfs::Key& key) { return le(key.object).le(key.type).le(key.offset); }
    BtrfsBytes& text(std::string_view text) {
        for (const char c : text)
            bytes.push_back(static_cast<std::byte>(c));
        return *this;
    }
    BtrfsBytes& zeros(std::size_t count) {
        bytes.resize(bytes.size() + count);
        return *this;
    }
};

// 4 MiB: a superblock, and three chunks (system, metadata, data) of which the last two may be there twice.
class BtrfsBuilder {
  public:
    static constexpr std::size_t kNode = 4096;
    static constexpr std::uint64_t kSystem = 1024 * 1024; // logical and physical
    static constexpr std::uint64_t kSystemLength = 256 * 1024;
    static constexpr std::uint64_t kMetadata = 16 * 1024 * 1024; // logical
    static constexpr std::uint64_t kMetadataPlace = kSystem + kSystemLength;
    static constexpr std::uint64_t kChunkLength = 512 * 1024; // of the other two
    static constexpr std::uint64_t kData = 32 * 1024 * 1024;  // logical
    static constexpr std::uint64_t kDataPlace = kMetadataPlace + 2 * kChunkLength;
    static constexpr std::uint64_t kSize = 4 * 1024 * 1024;
    static constexpr std::uint64_t kGeneration = 7;
    static constexpr std::uint64_t kTop = 5;
    static constexpr std::uint64_t kRootFolder = 256;

    enum class Copies { one, two };

    explicit BtrfsBuilder(btrfs::ChecksumType checksum = btrfs::ChecksumType::crc32c, Copies copies = Copies::one);

    // Adds to what is there under the key.
    BtrfsBuilder& item(std::uint64_t tree, const btrfs::Key& key, std::span<const std::byte> bytes);

    struct InodeFields {
        std::uint64_t size = 0;
        std::uint32_t links = 1;
        std::uint64_t flags = 0;
        std::uint64_t generation = kGeneration;
        std::uint64_t device = 0;
    };
    BtrfsBuilder& inode(std::uint64_t tree, std::uint64_t number, std::uint32_t mode, const InodeFields& fields);
    BtrfsBuilder& inode(std::uint64_t tree, std::uint64_t number, std::uint32_t mode) {
        return inode(tree, number, mode, {});
    }
    // In a folder by hash and position, and at the inode.
    BtrfsBuilder& name(std::uint64_t tree, std::uint64_t folder, std::uint64_t position, std::string_view name,
                       std::uint64_t number);
    BtrfsBuilder& inode_name(std::uint64_t tree, std::uint64_t folder, std::uint64_t position, std::string_view name,
                             std::uint64_t number);
    // In the folder alone; `location` may be a subvolume's root.
    BtrfsBuilder& entry(std::uint64_t tree, std::uint64_t folder, std::uint64_t position, std::string_view name,
                        const btrfs::Key& location);
    BtrfsBuilder& attribute(std::uint64_t tree, std::uint64_t number, std::string_view name, std::string_view value);

    // Sectors of data with their checksums, and their address.
    std::uint64_t data(std::string_view content);
    enum class ExtentType : std::uint8_t { in_item, regular, prepared };
    struct ExtentFields {
        std::uint64_t logical = 0;
        std::uint64_t length = 0;
        std::uint64_t address = 0;
        std::uint64_t stored = 0;
        std::uint64_t offset = 0;
        std::uint64_t unpacked = 0;
        std::uint8_t codec = 0;
        ExtentType type = ExtentType::regular;
    };
    BtrfsBuilder& extent(std::uint64_t tree, std::uint64_t number, const ExtentFields& fields);
    BtrfsBuilder& extent_in_item(std::uint64_t tree, std::uint64_t number, std::string_view stored,
                                 std::uint64_t unpacked, std::uint8_t codec = 0);
    // A regular file with a name in a folder and content in its item.
    BtrfsBuilder& file(std::uint64_t tree, std::uint64_t folder, std::uint64_t position, std::string_view name,
                       std::uint64_t number, std::string_view content);

    struct SubvolumeFields {
        bool is_read_only = false;
        bool is_snapshot = false;
        std::uint32_t references = 1;
    };
    // With an empty root folder.
    BtrfsBuilder& subvolume(std::uint64_t number, const SubvolumeFields& fields);
    BtrfsBuilder& subvolume(std::uint64_t number) { return subvolume(number, {}); }
    // Where it lies: in another one, by entry and references.
    BtrfsBuilder& place(std::uint64_t number, std::uint64_t parent, std::uint64_t folder, std::uint64_t position,
                        std::string_view name);
    BtrfsBuilder& default_subvolume(std::uint64_t number);
    // A log for a subvolume: items of it go to the tree that is returned.
    std::uint64_t log(std::uint64_t subvolume);

    // Lays everything out. Items go into blocks of at most so many.
    void finish(std::size_t items_in_leaf = 1000);
    // Checksums anew, for what was changed since.
    void seal();

    // After finish(). Offsets of the image; of copies the first.
    std::size_t block_of(std::uint64_t tree) const; // its topmost
    std::size_t item_at(std::uint64_t tree, const btrfs::Key& key) const;
    std::size_t place_of(std::uint64_t address) const;
    std::vector<std::size_t> blocks() const; // all, and the superblock
    void put8(std::size_t at, unsigned value) { image_[at] = static_cast<std::byte>(value); }
    void put16(std::size_t at, std::uint16_t value);
    void put32(std::size_t at, std::uint32_t value);
    void put64(std::size_t at, std::uint64_t value);
    std::uint64_t get64(std::size_t at) const;
    static constexpr std::size_t kSuperblock = 64 * 1024;

    std::shared_ptr<const BlockDevice> device() const;

  private:
    using Items = std::map<btrfs::Key, std::vector<std::byte>>;
    struct Root {
        std::uint64_t address = 0;
        unsigned level = 0;
    };

    Root lay_tree(std::uint64_t tree, const Items& items, std::size_t items_in_leaf);
    std::uint64_t write_block(std::uint64_t tree, unsigned level, std::span<const Items::value_type* const> items,
                              std::span<const std::uint64_t> children);
    void add_root(Items& roots, std::uint64_t tree, const Root& root) const;
    Items space_items(std::size_t blocks_to_come) const;
    void add_chunks();
    void write_superblock(const Root& roots, const Root& chunks, const Root& logs);

    btrfs::ChecksumType checksum_;
    Copies copies_;
    std::vector<std::byte> image_;
    std::map<std::uint64_t, Items> trees_;
    std::map<std::uint64_t, SubvolumeFields> subvolumes_;
    std::map<std::uint64_t, std::uint64_t> logs_; // by subvolume: the tree's number here
    std::map<std::uint64_t, Root> roots_;
    std::vector<std::uint64_t> blocks_; // addresses
    std::map<std::uint64_t, std::uint64_t> data_;
    std::uint64_t next_block_ = kMetadata;
    std::uint64_t next_chunk_block_ = kSystem;
    std::uint64_t next_data_ = kData;
    std::uint64_t generation_ = kGeneration;
};

} // namespace vm2oci::test
