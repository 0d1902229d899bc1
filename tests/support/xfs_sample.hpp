// One xfs image with a file of each form, and the walk that reads all of it.
#pragma once

#include "formats/xfs/file_system.hpp"
#include "tests/support/xfs_builder.hpp"

#include <array>
#include <set>
#include <string>
#include <vector>

namespace vm2oci::test {

// Inode numbers of the sample.
namespace sample {
inline constexpr std::uint64_t kFile = 9;    // one block, attributes in the inode
inline constexpr std::uint64_t kTree = 10;   // five extents in a B+tree
inline constexpr std::uint64_t kSingle = 11; // a folder in one block
inline constexpr std::uint64_t kNames = 12;  // a folder in two blocks, with a hole between them
inline constexpr std::uint64_t kLink = 13;
inline constexpr std::uint64_t kLongLink = 14;
inline constexpr std::uint64_t kDevice = 15;
inline constexpr std::uint64_t kSparse = 16; // one terabyte
inline constexpr std::uint64_t kValues = 17; // attributes in a leaf, one value in blocks of its own
inline constexpr std::uint64_t kNode = 18;   // attributes in a tree
inline constexpr std::uint64_t kEmpty = 19;
inline constexpr std::uint64_t kTwice = 20; // two names
// Blocks.
inline constexpr std::size_t kFileBlock = 64;
inline constexpr std::size_t kTreeLeaves = 66; // two of them
inline constexpr std::size_t kSingleBlock = 74;
inline constexpr std::size_t kNamesBlock = 75; // and the next one
inline constexpr std::size_t kLinkBlock = 77;
inline constexpr std::size_t kValuesBlock = 80; // the leaf, then two of the value
inline constexpr std::size_t kNodeBlock = 83;   // the node, then two leaves
} // namespace sample

inline const std::string kLongTarget = std::string(899, 't') + "!";
inline const std::string kLongValue = std::string(1499, 'v') + "!";
inline constexpr std::uint64_t kTerabyte = std::uint64_t{1} << 40;

inline void add_sample_folders(XfsBuilder& made) {
    using Name = XfsBuilder::Name;
    using Extent = XfsBuilder::Extent;
    const std::vector<Name> in_root{
        {"file", sample::kFile},        {"tree", sample::kTree},     {"single", sample::kSingle, 2},
        {"names", sample::kNames, 2},   {"link", sample::kLink, 7},  {"long", sample::kLongLink, 7},
        {"device", sample::kDevice, 3}, {"sparse", sample::kSparse}, {"values", sample::kValues},
        {"node", sample::kNode},
    };
    const std::vector<std::byte> root = made.short_folder(XfsBuilder::kRoot, in_root);
    made.add_inode(XfsBuilder::kRoot, 040755, 1, root, root.size(), 0, 4);
    const std::vector<Name> in_single{
        {".", sample::kSingle, 2}, {"..", XfsBuilder::kRoot, 2}, {"one", sample::kEmpty}, {"two", sample::kTwice}};
    made.put_folder_block(sample::kSingleBlock, sample::kSingle, in_single, XfsBuilder::FolderForm::single);
    made.add_inode(sample::kSingle, 040750, 2, XfsBuilder::extent_list(std::array{Extent{0, sample::kSingleBlock, 1}}),
                   1024, 1, 2);
    const std::vector<Name> first{{".", sample::kNames, 2}, {"..", XfsBuilder::kRoot, 2}, {"again", sample::kTwice}};
    // Names that leave eight bytes, the smallest free space that there is.
    std::vector<Name> second;
    const std::size_t room = XfsBuilder::kBlock - (made.is_v5() ? 64 : 16) - 8;
    for (std::size_t i = 0; i < room / 24; ++i)
        second.push_back({"name-" + std::string(i < 10 ? "0" : "") + std::to_string(i) + "-xx", sample::kTwice});
    if (room % 24 == 16)
        second.push_back({"xy", sample::kTwice});
    made.put_folder_block(sample::kNamesBlock, sample::kNames, first, XfsBuilder::FolderForm::names);
    made.put_folder_block(sample::kNamesBlock + 1, sample::kNames, second, XfsBuilder::FolderForm::names);
    made.add_inode(
        sample::kNames, 041777, 2,
        XfsBuilder::extent_list(std::array{Extent{0, sample::kNamesBlock, 1}, Extent{2, sample::kNamesBlock + 1, 1},
                                           Extent{std::uint64_t{1} << 25, 90, 1}}),
        3072, 3, 2);
}

inline void add_sample_files(XfsBuilder& made) {
    using Extent = XfsBuilder::Extent;
    made.put_remote(sample::kLinkBlock, sample::kLongLink, "XSLM", 0, kLongTarget);
    made.add_inode(sample::kFile, 0100644, 2, XfsBuilder::extent_list(std::array{Extent{0, sample::kFileBlock, 1}}), 7,
                   1);
    std::copy_n(reinterpret_cast<const std::byte*>("content"), 7, made.block(sample::kFileBlock));
    made.put_extent_leaf(sample::kTreeLeaves, sample::kTree,
                         std::array{Extent{0, 68, 1}, Extent{2, 69, 1}, Extent{4, 70, 1}});
    made.put_extent_leaf(sample::kTreeLeaves + 1, sample::kTree, std::array{Extent{6, 71, 1}, Extent{8, 72, 1, true}});
    for (std::size_t i = 0; i < 5; ++i)
        std::fill_n(made.block(68 + i), XfsBuilder::kBlock, static_cast<std::byte>('0' + i));
    const std::size_t fork = XfsBuilder::kInode - made.core();
    made.add_inode(
        sample::kTree, 0100600, 3,
        XfsBuilder::extent_root(1, std::array<std::uint64_t, 2>{sample::kTreeLeaves, sample::kTreeLeaves + 1}, fork),
        9 * 1024 - 10, 5);
    made.add_inode(sample::kLink, 0120777, 1, XfsBytes().text("file").bytes, 4);
    made.add_inode(sample::kLongLink, 0120777, 2, XfsBuilder::extent_list(std::array{Extent{0, sample::kLinkBlock, 1}}),
                   kLongTarget.size(), 1);
    made.add_inode(sample::kDevice, 020660, 0, XfsBytes().be<std::uint32_t>(4u << 18 | 70000).bytes, 0);
    made.add_inode(sample::kSparse, 0100644, 2,
                   XfsBuilder::extent_list(std::array{Extent{0, 78, 1}, Extent{kTerabyte / 1024 - 1, 79, 1}}),
                   kTerabyte - 5, 2);
    made.block(79)[0] = std::byte{'e'};
    made.add_inode(sample::kEmpty, 0100644, 2, {}, 0);
    made.add_inode(sample::kTwice, 0100644, 2, {}, 0, 0, 60);
}

inline void add_sample_attributes(XfsBuilder& made) {
    using Extent = XfsBuilder::Extent;
    using Attribute = XfsBuilder::Attribute;
    const std::string list = [] {
        XfsBytes acl;
        acl.be<std::uint32_t>(2);
        acl.be<std::uint32_t>(1).be<std::uint32_t>(~0u).be<std::uint16_t>(6).be<std::uint16_t>(0);
        acl.be<std::uint32_t>(2).be<std::uint32_t>(1000).be<std::uint16_t>(4).be<std::uint16_t>(0);
        return std::string(reinterpret_cast<const char*>(acl.bytes.data()), acl.bytes.size());
    }();
    made.add_attributes(
        sample::kFile, 24, 1,
        XfsBuilder::short_attributes(std::array{Attribute{"short", "value"}, Attribute{"selinux", "label", 4},
                                                Attribute{"SGI_ACL_FILE", list, 2}}));
    made.put_attribute_leaf(sample::kValuesBlock, sample::kValues,
                            std::array{Attribute{"local", "small", 1}, Attribute{"capability", "cap", 5},
                                       Attribute{"large", "", 0, 1, 1500}, Attribute{"half", "", 0x80, 7, 3},
                                       Attribute{"parent", "p", 0x09}});
    made.add_inode(sample::kValues, 0100644, 2, {}, 0);
    made.add_attributes(sample::kValues, 32, 2, XfsBuilder::extent_list(std::array{Extent{0, sample::kValuesBlock, 3}}),
                        1);
    const std::size_t step = made.is_v5() ? 1024 - 56 : 1024;
    made.put_remote(sample::kValuesBlock + 1, sample::kValues, "XARM", 0, kLongValue.substr(0, step));
    made.put_remote(sample::kValuesBlock + 2, sample::kValues, "XARM", step, kLongValue.substr(step));
    made.put_attribute_node(sample::kNodeBlock, sample::kNode, 1, 1);
    made.put_attribute_leaf(sample::kNodeBlock + 1, sample::kNode, std::array{Attribute{"first", "1", 1}}, 2);
    made.put_attribute_leaf(sample::kNodeBlock + 2, sample::kNode, std::array{Attribute{"second", "2", 3}});
    made.add_inode(sample::kNode, 0100644, 2, {}, 0);
    made.add_attributes(sample::kNode, 32, 2, XfsBuilder::extent_list(std::array{Extent{0, sample::kNodeBlock, 3}}), 1);
}

// Not finished yet, so that a log can be added.
inline XfsBuilder make_sample(XfsBuilder::Version version = XfsBuilder::Version::v5,
                              XfsBuilder::TypesInFolders types = XfsBuilder::TypesInFolders::yes) {
    XfsBuilder made(version, types);
    made.take(36);
    add_sample_folders(made);
    add_sample_files(made);
    add_sample_attributes(made);
    return made;
}

inline std::string read_text(const FileSystem& files, std::uint64_t node, std::uint64_t offset, std::size_t length) {
    std::string text(length, '?');
    files.read_at(NodeId{node}, offset, std::as_writable_bytes(std::span(text)));
    return text;
}

// Everything that there is, content up to 64 KiB a file.
inline void read_everything(const FileSystem& files) {
    std::vector<NodeId> folders{files.root()};
    std::set<NodeId> seen{files.root()};
    files.usage();
    while (!folders.empty()) {
        const NodeId folder = folders.back();
        folders.pop_back();
        for (const DirectoryEntry& entry : files.list(folder)) {
            const FileStatus status = files.status(entry.node);
            if (!seen.insert(entry.node).second)
                continue;
            files.attributes(entry.node);
            if (status.type == FileType::directory)
                folders.push_back(entry.node);
            if (status.type == FileType::symlink)
                files.read_link(entry.node);
            if (status.type == FileType::regular) {
                files.data_ranges(entry.node);
                read_text(files, static_cast<std::uint64_t>(entry.node), 0,
                          static_cast<std::size_t>(std::min<std::uint64_t>(status.size, std::uint64_t{64} * 1024)));
            }
        }
    }
    files.free_space();
}

} // namespace vm2oci::test
