// What is done with each kind of file system, and by whom: one row each.
#pragma once

#include "formats/block/block_changes.hpp"
#include "formats/block/block_device.hpp"
#include "formats/partition/signature.hpp"
#include "formats/tree/file_system.hpp"
#include "formats/tree/file_system_editor.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

enum class FileSystemRole {
    system,   // a Linux may have its root on it
    firmware, // what firmware and boot loaders read; never a root
};

enum class FreeSpaceSource {
    reader, // FileSystem::free_space()
    nobody,
};

struct FileSystemDriver {
    std::string_view name; // as signatures and mounts have it
    FileSystemRole role;
    // Null: not read in this process.
    std::shared_ptr<const FileSystem> (*open)(const std::shared_ptr<const BlockDevice>& device);
    // Both null: not written in this process. The device shows what is written to the changes, which outlive the
    // editor; `time` as Ext4Editor has it.
    std::unique_ptr<FileSystemEditor> (*edit)(const std::shared_ptr<const BlockDevice>& device, BlockChanges& changes,
                                              std::int64_t time);
    // Why this one cannot be changed, as a clear word with what to do; nullopt: it can.
    std::optional<std::string> (*reason_not_to_edit)(const std::shared_ptr<const BlockDevice>& device);
    FreeSpaceSource free_space;
};

// Null: nothing that has a row.
const FileSystemDriver* find_driver(std::string_view name);

// The driver that reads it in this process; null: it is something else.
const FileSystemDriver* find_reader(const std::optional<Signature>& signature);

} // namespace vm2oci
