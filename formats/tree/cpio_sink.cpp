#include "formats/tree/cpio_sink.hpp"

#include "formats/base/counting_sink.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/tree/cpio.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

namespace vm2oci {
namespace {

std::uint32_t type_bits(FileType type) {
    switch (type) {
    case FileType::regular:
        return S_IFREG;
    case FileType::directory:
        return S_IFDIR;
    case FileType::symlink:
        return S_IFLNK;
    case FileType::character_device:
        return S_IFCHR;
    case FileType::block_device:
        return S_IFBLK;
    case FileType::fifo:
        return S_IFIFO;
    case FileType::socket:
        return S_IFSOCK;
    }
    fail(ErrorKind::unsupported, "no such type of file");
}

} // namespace

void CpioSink::write_header(const std::string& path, const FileStatus& status, std::uint32_t mode, std::uint64_t size,
                            std::uint32_t inode) {
    if (size > UINT32_MAX)
        fail(ErrorKind::limit, "an initrd cannot hold " + quote_untrusted(path) + ", which has 4 GiB or more");
    const auto time = std::clamp<std::int64_t>(status.modified.seconds, 0, UINT32_MAX);
    const std::uint32_t links = status.type == FileType::directory ? 2 : std::max(status.link_count, 1u);
    std::string header = fmt::format(
        "070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}", inode, mode, status.uid,
        status.gid, links, time, size, 0, 0, status.device_major, status.device_minor, path.size() + 1, 0);
    header += path;
    header += '\0';
    header += cpio_padding(header.size());
    out_.write(as_bytes(header));
}

void CpioSink::add(const Entry& entry, const FileContent* content) {
    if (entry.path.empty() || entry.status.type == FileType::socket)
        return;
    std::uint32_t inode = 0;
    if (entry.hard_link_to) {
        const auto found = linked_.find(*entry.hard_link_to);
        if (found == linked_.end())
            fail(ErrorKind::corrupt, quote_untrusted(entry.path) + " is a hard link to something that did not come");
        inode = found->second;
    } else {
        inode = next_inode_++;
        if (entry.status.link_count > 1)
            linked_.emplace(entry.path, inode);
    }
    const std::uint64_t size = entry.status.type == FileType::symlink ? entry.link_target.size()
                               : content == nullptr                   ? 0
                                                                      : entry.status.size;
    write_header(entry.path, entry.status, type_bits(entry.status.type) | (entry.status.permissions & 07777), size,
                 inode);
    if (entry.status.type == FileType::symlink) {
        out_.write(as_bytes(entry.link_target));
    } else if (content != nullptr) {
        CountingSink counted(out_);
        content->copy_to(counted);
        if (counted.count() != size)
            fail(ErrorKind::io, "the content of " + quote_untrusted(entry.path) + " is not as long as its entry says");
    }
    out_.write(as_bytes(cpio_padding(size)));
}

void CpioSink::add_symlink(const std::string& path, const std::string& target) {
    Entry entry;
    entry.path = path;
    entry.status.type = FileType::symlink;
    entry.status.permissions = 0777;
    entry.link_target = target;
    add(entry, nullptr);
}

void CpioSink::finish() {
    write_header("TRAILER!!!", {}, 0, 0, 0);
}

} // namespace vm2oci
