// Changes to an ext2, ext3 or ext4 file system, through libext2fs: checksums, free counts, indexed folders and extended
// attributes come out as e2fsck expects them.
#pragma once

#include "formats/ext4/library.hpp"
#include "formats/tree/file_system_editor.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace vm2oci {

// Why this file system cannot be changed here, as a clear word with what to do; nullopt: it can. Nothing is written.
// Throws as Ext4Library does.
std::optional<std::string> reason_not_to_edit_ext4(const std::shared_ptr<const BlockDevice>& device);

class Ext4Editor final : public FileSystemEditor {
  public:
    // `device` shows what is written to `changes`, which outlives the editor. `time`, in seconds since 1970, is what
    // changed and new files bear; 0: that of the last write to the file system, so that equal edits are equal bytes.
    // Error{unsupported} with reason_not_to_edit_ext4().
    Ext4Editor(std::shared_ptr<const BlockDevice> device, BlockChanges& changes, std::int64_t time);
    ~Ext4Editor() override;

    void write_file(std::string_view path, std::uint64_t size, const FileContent& content,
                    const FileAttributes& attributes) override;
    void append_file(std::string_view path, std::string_view content) override;
    void make_folder(std::string_view path, const FileAttributes& attributes) override;
    void make_symlink(std::string_view path, std::string_view target, const std::string& selinux_label) override;
    void remove(std::string_view path) override;
    void finish() override;

  private:
    class Inodes;
    struct Place;

    Place find(std::string_view path) const;
    void write_content(ext2_ino_t file, std::uint64_t offset, std::uint64_t size, const FileContent& content);
    void drop_content(ext2_ino_t file);

    std::unique_ptr<Ext4Library> library_;
    std::unique_ptr<Inodes> inodes_;
};

} // namespace vm2oci
