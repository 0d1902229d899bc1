#include "tests/support/btrfs_builder.hpp"

#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "formats/btrfs/changed_tree.hpp"
#include "formats/btrfs/objects.hpp"
#include "tests/support/memory_device.hpp"

#include <algorithm>
#include <stdexcept>

namespace vm2oci::test {
namespace {

using btrfs::Key;
namespace object = btrfs::object;

constexpr std::uint64_t kFirstLog = 1ull << 60U; // numbers of logs among the trees here
constexpr std::size_t kHead = 101;
constexpr unsigned kMode = 040755;

Key inode_key(std::uint64_t number) {
    return {number, btrfs::item::inode, 0};
}

} // namespace

BtrfsBuilder::BtrfsBuilder(btrfs::ChecksumType checksum, Copies copies)
    : checksum_(checksum), copies_(copies), image_(kSize) {
    subvolume(kTop);
    trees_[object::checksum_tree];
    trees_[object::root_tree];
}

BtrfsBuilder& BtrfsBuilder::item(std::uint64_t tree, const Key& key, std::span<const std::byte> bytes) {
    std::vector<std::byte>& place = trees_[tree][key];
    place.insert(place.end(), bytes.begin(), bytes.end());
    return *this;
}

BtrfsBuilder& BtrfsBuilder::inode(std::uint64_t tree, std::uint64_t number, std::uint32_t mode,
                                  const InodeFields& fields) {
    BtrfsBytes made;
    made.le(fields.generation).le(kGeneration).le(fields.size).zeros(16).le(fields.links).le(1000u).le(100u).le(mode);
    made.le(fields.device).le(fields.flags).zeros(40);
    for (std::uint64_t i = 0; i < 4; ++i)
        made.le(1700000000 + i).le(123456789u);
    trees_[tree][inode_key(number)] = made.bytes;
    return *this;
}

BtrfsBuilder& BtrfsBuilder::entry(std::uint64_t tree, std::uint64_t folder, std::uint64_t position,
                                  std::string_view name, const Key& location) {
    BtrfsBytes made;
    made.key(location).le(kGeneration).le<std::uint16_t>(0).le(static_cast<std::uint16_t>(name.size()));
    made.le<std::uint8_t>(1).text(name);
    item(tree, {folder, btrfs::item::name, btrfs::hash_of_name(name)}, made.bytes);
    return item(tree, {folder, btrfs::item::position, position}, made.bytes);
}

BtrfsBuilder& BtrfsBuilder::inode_name(std::uint64_t tree, std::uint64_t folder, std::uint64_t position,
                                       std::string_view name, std::uint64_t number) {
    BtrfsBytes made;
    made.le(position).le(static_cast<std::uint16_t>(name.size())).text(name);
    return item(tree, {number, btrfs::item::inode_name, folder}, made.bytes);
}

BtrfsBuilder& BtrfsBuilder::name(std::uint64_t tree, std::uint64_t folder, std::uint64_t position,
                                 std::string_view name, std::uint64_t number) {
    entry(tree, folder, position, name, inode_key(number));
    return inode_name(tree, folder, position, name, number);
}

BtrfsBuilder& BtrfsBuilder::attribute(std::uint64_t tree, std::uint64_t number, std::string_view name,
                                      std::string_view value) {
    BtrfsBytes made;
    made.key({}).le(kGeneration).le(static_cast<std::uint16_t>(value.size()));
    made.le(static_cast<std::uint16_t>(name.size())).le(btrfs::kAttributeType).text(name).text(value);
    return item(tree, {number, btrfs::item::attribute, btrfs::hash_of_name(name)}, made.bytes);
}

std::uint64_t BtrfsBuilder::data(std::string_view content) {
    const std::uint64_t address = next_data_;
    const std::size_t sectors = (content.size() + 4095) / 4096;
    const std::size_t at = place_of(address);
    const auto bytes = std::as_bytes(std::span(content));
    std::copy(bytes.begin(), bytes.end(), image_.begin() + static_cast<std::ptrdiff_t>(at));
    BtrfsBytes sums;
    for (std::size_t i = 0; i < sectors; ++i) {
        const auto sum = btrfs::checksum_of(checksum_, std::span(image_).subspan(at + i * 4096, 4096));
        for (std::size_t byte = 0; byte < btrfs::checksum_size(checksum_); ++byte)
            sums.le(std::to_integer<std::uint8_t>(sum[byte]));
    }
    item(object::checksum_tree, {object::checksums, btrfs::item::checksums, address}, sums.bytes);
    if (copies_ == Copies::two)
        std::copy_n(image_.begin() + static_cast<std::ptrdiff_t>(at), sectors * 4096,
                    image_.begin() + static_cast<std::ptrdiff_t>(at + kChunkLength));
    next_data_ += sectors * 4096;
    data_[address] = sectors * 4096;
    return address;
}

BtrfsBuilder& BtrfsBuilder::extent(std::uint64_t tree, std::uint64_t number, const ExtentFields& fields) {
    BtrfsBytes made;
    made.le(kGeneration).le(fields.unpacked != 0 ? fields.unpacked : fields.length).le(fields.codec);
    made.zeros(3).le(static_cast<std::uint8_t>(fields.type));
    made.le(fields.address).le(fields.stored).le(fields.offset).le(fields.length);
    trees_[tree][{number, btrfs::item::file_extent, fields.logical}] = made.bytes;
    return *this;
}

BtrfsBuilder& BtrfsBuilder::extent_in_item(std::uint64_t tree, std::uint64_t number, std::string_view stored,
                                           std::uint64_t unpacked, std::uint8_t codec) {
    BtrfsBytes made;
    made.le(kGeneration).le(unpacked).le(codec).zeros(4).text(stored);
    trees_[tree][{number, btrfs::item::file_extent, 0}] = made.bytes;
    return *this;
}

BtrfsBuilder& BtrfsBuilder::file(std::uint64_t tree, std::uint64_t folder, std::uint64_t position,
                                 std::string_view name_, std::uint64_t number, std::string_view content) {
    inode(tree, number, 0100644, {content.size()});
    if (!content.empty())
        extent_in_item(tree, number, content, content.size());
    return name(tree, folder, position, name_, number);
}

BtrfsBuilder& BtrfsBuilder::subvolume(std::uint64_t number, const SubvolumeFields& fields) {
    subvolumes_[number] = fields;
    return inode(number, kRootFolder, kMode);
}

BtrfsBuilder& BtrfsBuilder::place(std::uint64_t number, std::uint64_t parent, std::uint64_t folder,
                                  std::uint64_t position, std::string_view name) {
    entry(parent, folder, position, name, {number, btrfs::item::root, ~0ull});
    BtrfsBytes made;
    made.le(folder).le(position).le(static_cast<std::uint16_t>(name.size())).text(name);
    item(object::root_tree, {parent, btrfs::item::root_child, number}, made.bytes);
    return item(object::root_tree, {number, btrfs::item::root_parent, parent}, made.bytes);
}

BtrfsBuilder& BtrfsBuilder::default_subvolume(std::uint64_t number) {
    return entry(object::root_tree, 6, 0, "default", {number, btrfs::item::root, ~0ull});
}

std::uint64_t BtrfsBuilder::log(std::uint64_t subvolume) {
    logs_[subvolume] = kFirstLog + subvolume;
    return logs_[subvolume];
}

std::size_t BtrfsBuilder::place_of(std::uint64_t address) const {
    if (address >= kData)
        return static_cast<std::size_t>(address - kData + kDataPlace);
    if (address >= kMetadata)
        return static_cast<std::size_t>(address - kMetadata + kMetadataPlace);
    return static_cast<std::size_t>(address);
}

std::uint64_t BtrfsBuilder::write_block(std::uint64_t tree, unsigned level,
                                        std::span<const Items::value_type* const> items,
                                        std::span<const std::uint64_t> children) {
    std::uint64_t& next = tree == object::chunk_tree ? next_chunk_block_ : next_block_;
    const std::uint64_t address = next;
    next += kNode;
    blocks_.push_back(address);
    const std::size_t at = place_of(address);
    put64(at + 48, address);
    put64(at + 56, 1);
    put64(at + 80, generation_);
    put64(at + 88, tree >= kFirstLog ? object::log : tree);
    put32(at + 96, static_cast<std::uint32_t>(items.size()));
    put8(at + 100, level);
    std::size_t slot = at + kHead;
    std::size_t end = kNode - kHead;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const BtrfsBytes key = BtrfsBytes().key(items[i]->first);
        std::copy(key.bytes.begin(), key.bytes.end(), image_.begin() + static_cast<std::ptrdiff_t>(slot));
        if (level > 0) {
            put64(slot + 17, children[i]);
            put64(slot + 25, generation_);
            slot += 33;
            continue;
        }
        const std::vector<std::byte>& bytes = items[i]->second;
        end -= bytes.size();
        put32(slot + 17, static_cast<std::uint32_t>(end));
        put32(slot + 21, static_cast<std::uint32_t>(bytes.size()));
        std::copy(bytes.begin(), bytes.end(), image_.begin() + static_cast<std::ptrdiff_t>(at + kHead + end));
        slot += 25;
    }
    return address;
}

BtrfsBuilder::Root BtrfsBuilder::lay_tree(std::uint64_t tree, const Items& items, std::size_t items_in_leaf) {
    std::vector<const Items::value_type*> firsts;
    std::vector<std::uint64_t> addresses;
    std::vector<const Items::value_type*> leaf;
    std::size_t bytes = 0;
    const auto close = [&] {
        if (!leaf.empty())
            firsts.push_back(leaf.front());
        addresses.push_back(write_block(tree, 0, leaf, {}));
        leaf.clear();
        bytes = 0;
    };
    for (const auto& each : items) {
        if (leaf.size() == items_in_leaf || bytes + each.second.size() + 25 > kNode - kHead)
            close();
        leaf.push_back(&each);
        bytes += each.second.size() + 25;
    }
    if (!leaf.empty() || addresses.empty())
        close();
    unsigned level = 0;
    const std::size_t fanout = std::clamp<std::size_t>(items_in_leaf, 2, 100);
    while (addresses.size() > 1) {
        ++level;
        std::vector<const Items::value_type*> upper;
        std::vector<std::uint64_t> upper_addresses;
        for (std::size_t i = 0; i < addresses.size(); i += fanout) {
            const std::size_t count = std::min(fanout, addresses.size() - i);
            upper.push_back(firsts[i]);
            upper_addresses.push_back(
                write_block(tree, level, std::span(firsts).subspan(i, count), std::span(addresses).subspan(i, count)));
        }
        firsts = std::move(upper);
        addresses = std::move(upper_addresses);
    }
    roots_[tree] = {addresses.front(), level};
    return roots_[tree];
}

void BtrfsBuilder::add_root(Items& roots, std::uint64_t tree, const Root& root) const {
    const auto found = subvolumes_.find(tree);
    const SubvolumeFields fields = found == subvolumes_.end() ? SubvolumeFields{} : found->second;
    BtrfsBytes made;
    made.zeros(160).le(generation_).le(kRootFolder).le(root.address).zeros(24);
    made.le<std::uint64_t>(fields.is_read_only ? 1 : 0).le(fields.references).zeros(18);
    made.le(static_cast<std::uint8_t>(root.level)).le(generation_).zeros(16);
    made.text(std::string(16, fields.is_snapshot ? 'p' : '\0')).zeros(160);
    const Key key =
        tree >= kFirstLog ? Key{object::log, btrfs::item::root, tree - kFirstLog} : Key{tree, btrfs::item::root, 0};
    roots[key] = made.bytes;
}

// What the tree of extents holds when `blocks_to_come` more blocks of metadata follow.
BtrfsBuilder::Items BtrfsBuilder::space_items(std::size_t blocks_to_come) const {
    Items items;
    std::map<std::uint64_t, std::uint64_t> used{{kSystem, 0}, {kMetadata, 0}, {kData, 0}};
    std::vector<std::uint64_t> blocks = blocks_;
    for (std::size_t i = 0; i < blocks_to_come; ++i)
        blocks.push_back(next_block_ + i * kNode);
    for (const std::uint64_t block : blocks) {
        items[{block, btrfs::item::block_extent, 0}] = std::vector<std::byte>(24);
        used[block >= kMetadata ? kMetadata : kSystem] += kNode;
    }
    for (const auto& [address, length] : data_) {
        items[{address, btrfs::item::extent, length}] = std::vector<std::byte>(24);
        used[kData] += length;
    }
    for (const auto& [chunk, bytes] : used)
        items[{chunk, btrfs::item::block_group, chunk == kSystem ? kSystemLength : kChunkLength}] =
            BtrfsBytes().le(bytes).le<std::uint64_t>(256).le<std::uint64_t>(0).bytes;
    return items;
}

void BtrfsBuilder::add_chunks() {
    const auto add = [&](std::uint64_t logical, std::uint64_t place, std::uint64_t length, std::uint64_t content) {
        const std::uint16_t copies = copies_ == Copies::two && logical != kSystem ? 2 : 1;
        BtrfsBytes made;
        made.le(length).le<std::uint64_t>(2).le<std::uint64_t>(65536).le(content | (copies == 2 ? 0x20 : 0));
        made.le(4096u).le(4096u).le(4096u).le(copies).le<std::uint16_t>(1);
        for (std::uint64_t i = 0; i < copies; ++i)
            made.le<std::uint64_t>(1).le(place + i * length).zeros(16);
        item(object::chunk_tree, {256, btrfs::item::chunk, logical}, made.bytes);
    };
    add(kSystem, kSystem, kSystemLength, 2);
    add(kMetadata, kMetadataPlace, kChunkLength, 4);
    add(kData, kDataPlace, kChunkLength, 1);
}

void BtrfsBuilder::finish(std::size_t items_in_leaf) {
    add_chunks();
    const Root chunks = lay_tree(object::chunk_tree, trees_[object::chunk_tree], items_in_leaf);
    Items roots = trees_[object::root_tree];
    for (const auto& [tree, items] : trees_)
        if (tree != object::chunk_tree && tree != object::root_tree && tree < kFirstLog)
            add_root(roots, tree, lay_tree(tree, items, items_in_leaf));
    // The trees of extents and of roots count their own blocks: as many as come of it. With two items in a leaf each
    // block would need another one.
    const std::size_t counted = std::max<std::size_t>(items_in_leaf, 5);
    const BtrfsBuilder before = *this;
    std::size_t to_come = 2;
    Root root;
    for (;; ++to_come) {
        *this = before;
        Items all = roots;
        const std::size_t blocks = blocks_.size();
        add_root(all, object::extent_tree, lay_tree(object::extent_tree, space_items(to_come), counted));
        root = lay_tree(object::root_tree, all, counted);
        if (blocks_.size() - blocks == to_come)
            break;
    }
    Root logs;
    if (!logs_.empty()) {
        ++generation_;
        Items log_roots;
        for (const auto& [subvolume, tree] : logs_)
            add_root(log_roots, tree, lay_tree(tree, trees_[tree], items_in_leaf));
        logs = lay_tree(kFirstLog, log_roots, items_in_leaf);
    }
    if (next_block_ > kMetadata + kChunkLength)
        throw std::length_error("too much for the metadata of a test");
    write_superblock(root, chunks, logs);
    seal();
}

void BtrfsBuilder::write_superblock(const Root& roots, const Root& chunks, const Root& logs) {
    const std::size_t at = kSuperblock;
    put64(at + 48, at);
    put64(at + 56, 1);
    const BtrfsBytes magic = BtrfsBytes().text("_BHRfS_M");
    std::copy(magic.bytes.begin(), magic.bytes.end(), image_.begin() + static_cast<std::ptrdiff_t>(at + 64));
    put64(at + 72, kGeneration);
    put64(at + 80, roots.address);
    put64(at + 88, chunks.address);
    put64(at + 96, logs.address);
    put64(at + 112, kSize);
    put64(at + 120, blocks_.size() * kNode);
    put64(at + 128, 6);
    put64(at + 136, 1);
    put32(at + 144, 4096);
    put32(at + 148, kNode);
    put64(at + 164, kGeneration);
    put64(at + 188, 0x341);
    put16(at + 196, static_cast<std::uint16_t>(checksum_));
    put8(at + 198, roots.level);
    put8(at + 199, chunks.level);
    put8(at + 200, logs.level);
    put64(at + 201, 1);
    put64(at + 209, kSize);
    const auto& first = trees_[object::chunk_tree].begin();
    BtrfsBytes list;
    list.key(first->first);
    list.bytes.insert(list.bytes.end(), first->second.begin(), first->second.end());
    put32(at + 160, static_cast<std::uint32_t>(list.bytes.size()));
    std::copy(list.bytes.begin(), list.bytes.end(), image_.begin() + static_cast<std::ptrdiff_t>(at + 811));
}

void BtrfsBuilder::seal() {
    const auto sum = [&](std::size_t at) {
        const auto made = btrfs::checksum_of(checksum_, std::span(image_).subspan(at + 32, kNode - 32));
        std::copy(made.begin(), made.end(), image_.begin() + static_cast<std::ptrdiff_t>(at));
    };
    for (const std::uint64_t block : blocks_) {
        const std::size_t at = place_of(block);
        sum(at);
        if (copies_ == Copies::two && block >= kMetadata)
            std::copy_n(image_.begin() + static_cast<std::ptrdiff_t>(at), kNode,
                        image_.begin() + static_cast<std::ptrdiff_t>(at + kChunkLength));
    }
    sum(kSuperblock);
}

std::size_t BtrfsBuilder::block_of(std::uint64_t tree) const {
    return place_of(roots_.at(tree).address);
}

std::size_t BtrfsBuilder::item_at(std::uint64_t tree, const Key& key) const {
    for (const std::uint64_t address : blocks_) {
        const std::size_t at = place_of(address);
        if (get64(at + 88) != (tree >= kFirstLog ? object::log : tree) || image_[at + 100] != std::byte{0})
            continue;
        const auto count = load_le<std::uint32_t>(image_.data() + at + 96);
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t slot = at + kHead + i * 25;
            if (get64(slot) == key.object && image_[slot + 8] == std::byte{key.type} && get64(slot + 9) == key.offset)
                return at + kHead + load_le<std::uint32_t>(image_.data() + slot + 17);
        }
    }
    throw std::out_of_range("a test asks for an item that it did not make");
}

std::vector<std::size_t> BtrfsBuilder::blocks() const {
    std::vector<std::size_t> places{kSuperblock};
    for (const std::uint64_t block : blocks_)
        places.push_back(place_of(block));
    return places;
}

void BtrfsBuilder::put16(std::size_t at, std::uint16_t value) {
    store_le(image_.data() + at, value);
}
void BtrfsBuilder::put32(std::size_t at, std::uint32_t value) {
    store_le(image_.data() + at, value);
}
void BtrfsBuilder::put64(std::size_t at, std::uint64_t value) {
    store_le(image_.data() + at, value);
}
std::uint64_t BtrfsBuilder::get64(std::size_t at) const {
    return load_le<std::uint64_t>(image_.data() + at);
}

std::shared_ptr<const BlockDevice> BtrfsBuilder::device() const {
    const auto made = std::make_shared<MemoryDevice>(kSize);
    made->put(0, image_);
    return made;
}

} // namespace vm2oci::test
