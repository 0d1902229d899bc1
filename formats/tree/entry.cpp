#include "formats/tree/entry.hpp"

#include "formats/base/error.hpp"

#include <sys/stat.h>

namespace vm2oci {
namespace {

constexpr std::size_t kLongestFileName = 255; // NAME_MAX of Linux

} // namespace

std::string_view to_string(FileType type) {
    switch (type) {
    case FileType::regular:
        return "file";
    case FileType::directory:
        return "directory";
    case FileType::symlink:
        return "symlink";
    case FileType::character_device:
        return "character device";
    case FileType::block_device:
        return "block device";
    case FileType::fifo:
        return "fifo";
    case FileType::socket:
        return "socket";
    }
    return "file";
}

std::optional<FileType> file_type_of_mode(std::uint32_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return FileType::regular;
    case S_IFDIR:
        return FileType::directory;
    case S_IFLNK:
        return FileType::symlink;
    case S_IFCHR:
        return FileType::character_device;
    case S_IFBLK:
        return FileType::block_device;
    case S_IFIFO:
        return FileType::fifo;
    case S_IFSOCK:
        return FileType::socket;
    default:
        return std::nullopt;
    }
}

bool is_valid_file_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.size() <= kLongestFileName &&
           name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

void FileContent::copy_range_to(const DataRange&, ByteSink&) const {
    fail(ErrorKind::io, "a part of a file was asked for that is only known as a whole");
}

} // namespace vm2oci
