#include "formats/erofs/tree_writer.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace vm2oci {
namespace {

constexpr std::uint64_t kBlockSize = 4 * KiB;
constexpr unsigned kBlockBits = 12;
constexpr std::uint64_t kSuperblockAt = 1024;
constexpr std::uint32_t kMagic = 0xe0f5e1e2;
constexpr std::uint32_t kFeatureChecksum = 1;
constexpr std::uint32_t kFeatureModificationTimes = 2;
constexpr std::uint64_t kSlot = 32; // inodes are numbered by where they lie, in units of this
constexpr std::uint64_t kInodeSize = 64;
constexpr std::uint16_t kExtended = 1;     // the long form of inodes
constexpr std::uint16_t kInlineLayout = 2; // what is left of the content stands behind the inode
constexpr std::size_t kDirectoryEntry = 12;
constexpr std::size_t kAttributeHeader = 12; // of all attributes of a file
constexpr std::size_t kMaxAttributes = 64 * KiB;

class Bytes {
  public:
    template <class T>
    Bytes& add(T value) {
        std::array<std::byte, sizeof(T)> raw;
        store_le(raw.data(), value);
        bytes_.append(reinterpret_cast<const char*>(raw.data()), raw.size());
        return *this;
    }
    Bytes& text(std::string_view text) {
        bytes_ += text;
        return *this;
    }
    Bytes& pad_to(std::size_t size) {
        bytes_.resize(size);
        return *this;
    }
    const std::string& get() const { return bytes_; }

  private:
    std::string bytes_;
};

struct TypeBits {
    std::uint16_t mode;
    std::uint8_t entry; // in folders, as in other file systems
};
TypeBits type_bits(FileType type) {
    switch (type) {
    case FileType::regular:
        return {S_IFREG, 1};
    case FileType::directory:
        return {S_IFDIR, 2};
    case FileType::character_device:
        return {S_IFCHR, 3};
    case FileType::block_device:
        return {S_IFBLK, 4};
    case FileType::fifo:
        return {S_IFIFO, 5};
    case FileType::socket:
        return {S_IFSOCK, 6};
    case FileType::symlink:
        return {S_IFLNK, 7};
    }
    fail(ErrorKind::unsupported, "no such type of file");
}

std::uint32_t device_number(const FileStatus& status) {
    return (status.device_minor & 0xff) | status.device_major << 8 | (status.device_minor & ~0xffu) << 12;
}

struct AttributeName {
    std::uint8_t prefix;
    std::string_view rest;
};
std::optional<AttributeName> split_attribute(std::string_view name) {
    struct Prefix {
        std::string_view text;
        std::uint8_t index;
    };
    constexpr Prefix kWhole[] = {{"system.posix_acl_access", 2}, {"system.posix_acl_default", 3}};
    for (const Prefix& whole : kWhole)
        if (name == whole.text)
            return AttributeName{whole.index, {}};
    constexpr Prefix kPrefixes[] = {{"user.", 1}, {"trusted.", 4}, {"security.", 6}};
    for (const Prefix& prefix : kPrefixes)
        if (name.starts_with(prefix.text) && name.size() - prefix.text.size() <= UINT8_MAX)
            return AttributeName{prefix.index, name.substr(prefix.text.size())};
    return std::nullopt;
}

// CRC-32C without the final inversion, as the kernel's crc32c() has it.
std::uint32_t crc32c(std::string_view bytes) {
    std::uint32_t sum = ~0u;
    for (const char c : bytes) {
        sum ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit)
            sum = sum >> 1 ^ ((sum & 1) != 0 ? 0x82f63b78u : 0);
    }
    return sum;
}

} // namespace

// Contents, block behind block.
class ErofsTreeWriter::ContentSink final : public ByteSink {
  public:
    ContentSink(OverlayDevice& disk, std::uint64_t offset) : disk_(disk), begin_(offset), at_(offset) {}

    void write(std::span<const std::byte> bytes) override {
        if (at_ + bytes.size() > disk_.size())
            fail(ErrorKind::limit, "the files do not fit into a file system of " + format_size(disk_.size()));
        // What was never written reads as zeros.
        if (!is_zero(bytes))
            disk_.write_at(at_, bytes);
        at_ += bytes.size();
    }
    std::uint64_t total() const { return at_ - begin_; }

  private:
    OverlayDevice& disk_;
    std::uint64_t begin_;
    std::uint64_t at_;
};

ErofsTreeWriter::ErofsTreeWriter(std::shared_ptr<OverlayDevice> disk, ErofsParameters parameters)
    : disk_(std::move(disk)), parameters_(std::move(parameters)) {}

std::uint32_t ErofsTreeWriter::take_blocks(std::uint64_t bytes) {
    const std::uint64_t first = next_block_;
    next_block_ += divide_up(bytes, kBlockSize);
    if (next_block_ * kBlockSize > disk_->size() || next_block_ > UINT32_MAX)
        fail(ErrorKind::limit, "the files do not fit into a file system of " + format_size(disk_->size()));
    return static_cast<std::uint32_t>(bytes == 0 ? 0 : first);
}

std::size_t ErofsTreeWriter::folder_at(const std::string& path) const {
    const auto found = folders_.find(path);
    if (found == folders_.end())
        fail(ErrorKind::corrupt, "a file comes before the folder " + quote_untrusted(path) + " that holds it");
    return found->second;
}

void ErofsTreeWriter::add(const Entry& entry, const FileContent* content) {
    if (nodes_.size() >= kMaxErofsEntries)
        fail(ErrorKind::limit, "the tree has more files than are packed into one file system");
    std::size_t parent = 0;
    std::string name;
    if (!entry.path.empty()) {
        const std::size_t slash = entry.path.rfind('/');
        parent = folder_at(slash == std::string::npos ? "" : entry.path.substr(0, slash));
        name = entry.path.substr(slash == std::string::npos ? 0 : slash + 1);
        ++report_.entries;
    }
    if (entry.hard_link_to) {
        const auto found = linked_.find(*entry.hard_link_to);
        if (found == linked_.end())
            fail(ErrorKind::corrupt, quote_untrusted(entry.path) + " is a hard link to something that did not come");
        ++nodes_[found->second].links;
        nodes_[parent].names.push_back({std::move(name), found->second});
        return;
    }
    Node node;
    node.status = entry.status;
    node.parent = parent;
    node.attributes = attributes_of(entry);
    place_content(entry, content, node);
    const std::size_t index = nodes_.size();
    if (entry.status.type == FileType::directory)
        folders_.emplace(entry.path, index);
    else if (entry.status.link_count > 1)
        linked_.emplace(entry.path, index);
    nodes_.push_back(std::move(node));
    if (!entry.path.empty())
        nodes_[parent].names.push_back({std::move(name), index});
}

std::string ErofsTreeWriter::attributes_of(const Entry& entry) {
    Bytes attributes;
    attributes.add<std::uint32_t>(0).add<std::uint64_t>(0); // no filter, nothing shared
    for (const ExtendedAttribute& attribute : entry.attributes) {
        const auto split = split_attribute(attribute.name);
        if (!split) {
            ++report_.attributes_left_out;
            continue;
        }
        if (attributes.get().size() + attribute.value.size() + attribute.name.size() > kMaxAttributes)
            fail(ErrorKind::limit, "the extended attributes of " + quote_untrusted(entry.path) + " are too large");
        attributes.add(static_cast<std::uint8_t>(split->rest.size())).add(split->prefix);
        attributes.add(static_cast<std::uint16_t>(attribute.value.size())).text(split->rest).text(attribute.value);
        attributes.pad_to(align_up(attributes.get().size(), 4));
    }
    return attributes.get().size() > kAttributeHeader ? attributes.get() : "";
}

void ErofsTreeWriter::place_content(const Entry& entry, const FileContent* content, Node& node) {
    if (entry.status.type == FileType::symlink) {
        node.size = entry.link_target.size();
        // The target may not cross the border of a block.
        if (kInodeSize + node.attributes.size() + node.size <= kBlockSize) {
            node.inline_target = entry.link_target;
        } else {
            node.block = take_blocks(node.size);
            disk_->write_at(node.block * kBlockSize, as_bytes(entry.link_target));
        }
    } else if (content != nullptr) {
        node.size = entry.status.size;
        node.block = take_blocks(node.size);
        ContentSink sink(*disk_, node.block * kBlockSize);
        content->copy_to(sink);
        if (sink.total() != node.size)
            fail(ErrorKind::io, "the content of " + quote_untrusted(entry.path) + " is not as long as its entry says");
    }
}

// Names with "." and "..", in byte order, as many to a block as fit: first the entries, then the names.
void ErofsTreeWriter::place_folders() {
    for (std::size_t index = 0; index < nodes_.size(); ++index) {
        Node& folder = nodes_[index];
        if (folder.status.type != FileType::directory)
            continue;
        folder.links = 2;
        for (const Name& name : folder.names)
            folder.links += nodes_[name.node].status.type == FileType::directory ? 1u : 0u;
        folder.names.push_back({".", index});
        folder.names.push_back({"..", folder.parent});
        std::sort(folder.names.begin(), folder.names.end(),
                  [](const Name& a, const Name& b) { return a.name < b.name; });
        std::uint64_t full_blocks = 0;
        std::uint64_t used = 0;
        for (const Name& name : folder.names) {
            const std::uint64_t length = kDirectoryEntry + name.name.size();
            if (used + length > kBlockSize) {
                ++full_blocks;
                used = 0;
            }
            used += length;
        }
        folder.size = full_blocks * kBlockSize + used;
        folder.block = take_blocks(folder.size);
    }
}

void ErofsTreeWriter::place_inodes() {
    // Number 0 is none.
    std::uint64_t position = 2 * kSlot;
    for (Node& node : nodes_) {
        const std::uint64_t head =
            kInodeSize + (node.inline_target.empty() ? 0 : node.attributes.size()) + node.inline_target.size();
        // Neither an inode nor an inline target crosses the border of a block.
        if (position % kBlockSize + head > kBlockSize)
            position = align_up(position, kBlockSize);
        node.position = position;
        position = align_up(position + kInodeSize + node.attributes.size() + node.inline_target.size(), kSlot);
    }
    inodes_at_ = next_block_;
    take_blocks(position);
}

std::uint64_t ErofsTreeWriter::number_of(std::size_t node) const {
    return nodes_[node].position / kSlot;
}

void ErofsTreeWriter::write_folder(const Node& folder, std::size_t self) {
    std::uint64_t at = folder.block * kBlockSize;
    for (std::size_t first = 0; first < folder.names.size();) {
        std::size_t end = first;
        for (std::size_t used = 0; end < folder.names.size(); ++end) {
            used += kDirectoryEntry + folder.names[end].name.size();
            if (used > kBlockSize)
                break;
        }
        Bytes block;
        std::size_t name_at = (end - first) * kDirectoryEntry;
        for (std::size_t i = first; i < end; ++i) {
            const Name& name = folder.names[i];
            block.add(number_of(name.name == "." ? self : name.node)).add(static_cast<std::uint16_t>(name_at));
            block.add(type_bits(nodes_[name.node].status.type).entry).add<std::uint8_t>(0);
            name_at += name.name.size();
        }
        for (std::size_t i = first; i < end; ++i)
            block.text(folder.names[i].name);
        disk_->write_at(at, as_bytes(block.get()));
        at += kBlockSize;
        first = end;
    }
}

void ErofsTreeWriter::write_inodes() {
    std::string gathered;
    std::uint64_t gathered_at = inodes_at_ * kBlockSize;
    const auto flush = [&] {
        disk_->write_at(gathered_at, as_bytes(gathered));
        gathered_at += gathered.size();
        gathered.clear();
    };
    for (const Node& node : nodes_) {
        const FileStatus& status = node.status;
        const bool device = status.type == FileType::character_device || status.type == FileType::block_device;
        Bytes inode;
        inode.add(static_cast<std::uint16_t>(unsigned{kExtended} |
                                             (node.inline_target.empty() ? 0u : unsigned{kInlineLayout} << 1)));
        inode.add(static_cast<std::uint16_t>(
            node.attributes.empty() ? 0 : (node.attributes.size() - kAttributeHeader) / 4 + 1));
        inode.add(static_cast<std::uint16_t>(type_bits(status.type).mode | (status.permissions & 07777)));
        inode.add<std::uint16_t>(0).add(node.size).add(device ? device_number(status) : node.block);
        inode.add(static_cast<std::uint32_t>(node.position / kSlot)).add(status.uid).add(status.gid);
        inode.add(static_cast<std::uint64_t>(status.modified.seconds)).add(status.modified.nanoseconds);
        inode.add(node.links).pad_to(kInodeSize).text(node.attributes).text(node.inline_target);
        gathered.resize(static_cast<std::size_t>(inodes_at_ * kBlockSize + node.position - gathered_at));
        gathered += inode.get();
        if (gathered.size() >= MiB)
            flush();
    }
    flush();
}

void ErofsTreeWriter::write_superblock() {
    const auto build = [&](std::uint32_t checksum) {
        Bytes block;
        block.add(kMagic).add(checksum).add(kFeatureChecksum | kFeatureModificationTimes);
        block.add(static_cast<std::uint8_t>(kBlockBits)).add<std::uint8_t>(0);
        block.add(static_cast<std::uint16_t>(number_of(0))).add(static_cast<std::uint64_t>(nodes_.size()));
        block.add(static_cast<std::uint64_t>(parameters_.time)).add<std::uint32_t>(0);
        block.add(static_cast<std::uint32_t>(next_block_)).add(static_cast<std::uint32_t>(inodes_at_));
        block.add<std::uint32_t>(0); // no shared attributes
        block.text(std::string_view(reinterpret_cast<const char*>(parameters_.uuid.data()), parameters_.uuid.size()));
        block.text(parameters_.label.substr(0, 16));
        return block.pad_to(static_cast<std::size_t>(kBlockSize - kSuperblockAt)).get();
    };
    disk_->write_at(kSuperblockAt, as_bytes(build(crc32c(build(0)))));
}

ErofsReport ErofsTreeWriter::finish() {
    if (nodes_.empty() || nodes_.front().status.type != FileType::directory)
        fail(ErrorKind::corrupt, "a tree without a root folder");
    place_folders();
    place_inodes();
    for (std::size_t index = 0; index < nodes_.size(); ++index)
        if (nodes_[index].status.type == FileType::directory)
            write_folder(nodes_[index], index);
    write_inodes();
    write_superblock();
    report_.size = next_block_ * kBlockSize;
    return report_;
}

} // namespace vm2oci
