// A btrfs with something of each form, and what tests read of it.
#pragma once

#include "formats/btrfs/directory.hpp"
#include "formats/btrfs/file_system.hpp"
#include "tests/support/btrfs_builder.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace vm2oci::test {

namespace btrfs_sample {
inline constexpr std::uint64_t kTop = BtrfsBuilder::kTop;
inline constexpr std::uint64_t kRoot = BtrfsBuilder::kRootFolder;
inline constexpr std::uint64_t kFile = 257;
inline constexpr std::uint64_t kFolder = 258;
inline constexpr std::uint64_t kLink = 259;
inline constexpr std::uint64_t kLarge = 260;
inline constexpr std::uint64_t kPacked = 261;
inline constexpr std::uint64_t kDevice = 262;
inline constexpr std::uint64_t kPlain = 263;    // without checksums
inline constexpr std::uint64_t kSecond = 300;   // a subvolume
inline constexpr std::uint64_t kSnapshot = 301; // of it
} // namespace btrfs_sample

// 8000 bytes as LZO has them: one literal run, and what repeats it.
inline std::string lzo_of_zeros(std::size_t length) {
    // A run of four zeros, then a match of distance 1 for the rest of at most 4096.
    std::string stream;
    stream += static_cast<char>(17 + 4);
    stream.append(4, '\0');
    std::size_t left = length - 4 - 2 - 31; // of 001LLLLL with extra bytes
    stream += '\x20';
    for (; left > 255; left -= 255)
        stream += '\0';
    stream += static_cast<char>(left);
    stream += std::string("\0\0", 2);
    stream += std::string("\x11\0\0", 3);
    return stream;
}

inline std::string le32(std::uint32_t value) {
    std::string text;
    for (unsigned i = 0; i < 4; ++i)
        text += static_cast<char>(value >> (8 * i));
    return text;
}

// As btrfs stores it: the length of all, and one segment.
inline std::string lzo_extent(const std::string& stream) {
    return le32(static_cast<std::uint32_t>(stream.size() + 8)) + le32(static_cast<std::uint32_t>(stream.size())) +
           stream;
}

inline BtrfsBuilder make_btrfs_sample(btrfs::ChecksumType checksum = btrfs::ChecksumType::crc32c,
                                      BtrfsBuilder::Copies copies = BtrfsBuilder::Copies::one) {
    using namespace btrfs_sample;
    BtrfsBuilder made(checksum, copies);
    made.file(kTop, kRoot, 2, "file", kFile, "content");
    made.attribute(kTop, kFile, "user.one", "1").attribute(kTop, kFile, "security.capability", "caps");
    made.inode(kTop, kFolder, 040750).name(kTop, kRoot, 3, "folder", kFolder);
    made.name(kTop, kFolder, 2, "hard link", kFile).inode(kTop, kFile, 0100644, {7, 2});
    made.inode(kTop, kLink, 0120777, {11}).extent_in_item(kTop, kLink, "folder/file", 11);
    made.name(kTop, kRoot, 4, "link", kLink);
    // Content, what is prepared, a hole, and content again that another one shares.
    const std::uint64_t address = made.data(std::string(8192, 'a') + std::string(4096, 'b'));
    made.inode(kTop, kLarge, 0100600, {20000}).name(kTop, kFolder, 3, "large", kLarge);
    made.extent(kTop, kLarge, {0, 8192, address, 12288, 0});
    made.extent(kTop, kLarge, {8192, 4096, made.data("prepared"), 4096, 0, 0, 0, BtrfsBuilder::ExtentType::prepared});
    made.extent(kTop, kLarge, {16384, 4096, address, 12288, 8192});
    const std::uint64_t packed = made.data(lzo_extent(lzo_of_zeros(4096)));
    made.inode(kTop, kPacked, 0100644, {4000}).name(kTop, kFolder, 4, "packed", kPacked);
    made.extent(kTop, kPacked, {0, 4096, packed, 4096, 0, 4096, 2});
    made.inode(kTop, kDevice, 020600, {0, 1, 0, 7, 259ull << 20 | 70000}).name(kTop, kFolder, 5, "device", kDevice);
    made.inode(kTop, kPlain, 0100644, {4096, 1, 3}).name(kTop, kFolder, 6, "plain", kPlain);
    made.extent(kTop, kPlain, {0, 4096, address, 12288, 0});
    made.subvolume(kSecond).place(kSecond, kTop, kFolder, 7, "second").file(kSecond, kRoot, 2, "inside", 257, "in");
    made.subvolume(kSnapshot, {true, true}).place(kSnapshot, kTop, kRoot, 5, "snapshot");
    made.file(kSnapshot, kRoot, 2, "inside", 257, "before");
    // Where another subvolume lay in what it was taken of.
    made.entry(kSnapshot, kRoot, 3, "left", {kSecond, 132, ~0ull});
    return made;
}

inline std::string read_content(const FileSystem& files, NodeId node) {
    std::string text(static_cast<std::size_t>(files.status(node).size), '?');
    files.read_at(node, 0, std::as_writable_bytes(std::span(text)));
    return text;
}

// By a path of names that are there.
inline NodeId find_node(const FileSystem& files, std::string_view path, std::optional<NodeId> from = std::nullopt) {
    NodeId node = from ? *from : files.root();
    while (!path.empty()) {
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(std::min(path.size(), name.size() + 1));
        node = files.lookup(node, name).value();
    }
    return node;
}

inline std::vector<std::string> names_in(const FileSystem& files, NodeId folder) {
    std::vector<std::string> names;
    for (DirectoryEntry& entry : files.list(folder))
        names.push_back(std::move(entry.name));
    return names;
}

// Everything that there is, content up to 64 KiB a file.
inline void read_all_of(const FileSystem& files) {
    std::vector<NodeId> folders{files.root()};
    std::set<NodeId> seen{files.root()};
    files.usage();
    for (const SubvolumeFacts& subvolume : files.subvolumes())
        if (seen.insert(subvolume.root).second)
            folders.push_back(subvolume.root);
    while (!folders.empty()) {
        const NodeId folder = folders.back();
        folders.pop_back();
        for (const DirectoryEntry& entry : files.list(folder)) {
            const FileStatus status = files.status(entry.node);
            files.lookup(folder, entry.name);
            if (!seen.insert(entry.node).second)
                continue;
            files.attributes(entry.node);
            if (status.type == FileType::directory)
                folders.push_back(entry.node);
            if (status.type == FileType::symlink)
                files.read_link(entry.node);
            if (status.type == FileType::regular) {
                files.data_ranges(entry.node);
                std::vector<std::byte> part(static_cast<std::size_t>(std::min<std::uint64_t>(status.size, 64 * 1024)));
                files.read_at(entry.node, 0, part);
            }
        }
    }
    files.free_space();
}

} // namespace vm2oci::test
