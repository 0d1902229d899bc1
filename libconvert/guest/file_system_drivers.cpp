#include "libconvert/guest/file_system_drivers.hpp"

#include "formats/btrfs/file_system.hpp"
#include "formats/ext4/editor.hpp"
#include "formats/ext4/file_system.hpp"
#include "formats/fat/file_system.hpp"
#include "formats/xfs/file_system.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

template <class Reader>
std::shared_ptr<const FileSystem> open_with(const std::shared_ptr<const BlockDevice>& device) {
    return std::make_shared<Reader>(device);
}

std::unique_ptr<FileSystemEditor> edit_ext4(const std::shared_ptr<const BlockDevice>& device, BlockChanges& changes,
                                            std::int64_t time) {
    return std::make_unique<Ext4Editor>(device, changes, time);
}

constexpr FileSystemDriver ext_row(std::string_view name) {
    return {name,      FileSystemRole::system,  open_with<Ext4FileSystem>,
            edit_ext4, reason_not_to_edit_ext4, FreeSpaceSource::reader};
}

constexpr FileSystemDriver kDrivers[] = {
    ext_row("ext2"),
    ext_row("ext3"),
    ext_row("ext4"),
    {"vfat", FileSystemRole::firmware, open_with<FatFileSystem>, nullptr, nullptr, FreeSpaceSource::nobody},
    {"xfs", FileSystemRole::system, open_with<XfsFileSystem>, nullptr, nullptr, FreeSpaceSource::reader},
    {"btrfs", FileSystemRole::system, open_with<BtrfsFileSystem>, nullptr, nullptr, FreeSpaceSource::reader},
};

} // namespace

const FileSystemDriver* find_driver(std::string_view name) {
    const auto* found = std::find_if(std::begin(kDrivers), std::end(kDrivers),
                                     [&](const FileSystemDriver& driver) { return driver.name == name; });
    return found == std::end(kDrivers) ? nullptr : found;
}

const FileSystemDriver* find_reader(const std::optional<Signature>& signature) {
    const FileSystemDriver* driver =
        signature && signature->kind == ContentKind::file_system ? find_driver(signature->type) : nullptr;
    return driver != nullptr && driver->open != nullptr ? driver : nullptr;
}

} // namespace vm2oci
