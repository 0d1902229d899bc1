#include "formats/btrfs/attributes.hpp"

#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/btrfs/directory.hpp"
#include "formats/btrfs/objects.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::btrfs {
namespace {

constexpr std::uint64_t kMaxAttributesMemory = 16 * MiB; // of one file; Linux lists at most 64 KiB of names

} // namespace

std::vector<ExtendedAttribute> read_attributes(const Volume& volume, const Subvolume& subvolume, std::uint64_t inode) {
    std::vector<ExtendedAttribute> attributes;
    std::uint64_t memory = 0;
    for (Cursor at(volume, subvolume.root, {inode, item::attribute, 0}, subvolume.changes);
         at.is_at(inode, item::attribute); at.next()) {
        memory += at.data().size();
        if (memory > kMaxAttributesMemory)
            fail(ErrorKind::limit, fmt::format("inode {} has more attributes than any real one", inode));
        for (NamedItem& found : read_named_items(at.data())) {
            if (found.name.empty() || found.name.size() > 255 || found.name.find('\0') != std::string::npos ||
                found.type != kAttributeType)
                fail(ErrorKind::corrupt,
                     fmt::format("inode {} of the btrfs file system has a damaged attribute", inode));
            attributes.push_back({std::move(found.name), std::move(found.value)});
        }
    }
    std::sort(attributes.begin(), attributes.end());
    if (std::adjacent_find(attributes.begin(), attributes.end(),
                           [](const auto& a, const auto& b) { return a.name == b.name; }) != attributes.end())
        fail(ErrorKind::corrupt, fmt::format("inode {} of the btrfs file system has an attribute twice", inode));
    return attributes;
}

} // namespace vm2oci::btrfs
