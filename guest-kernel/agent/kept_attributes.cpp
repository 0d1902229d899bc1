#include "guest-kernel/agent/kept_attributes.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"

#include "guest-kernel/agent/mounted_editor.hpp"
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vm2oci::guest {
namespace {

constexpr unsigned kForbidding = FS_IMMUTABLE_FL | FS_APPEND_FL;
constexpr std::size_t kCopyStep = 256ull * 1024;
constexpr std::size_t kMaxValue = 64ull * 1024; // XATTR_SIZE_MAX and XATTR_LIST_MAX

FileFlags forbidding_flags(int fd) {
    unsigned flags = 0; // the kernel reads and writes an int, whatever the macro says
    if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 || (flags & kForbidding) == 0)
        return std::nullopt;
    return flags;
}

void copy_content(int from, int to) {
    std::vector<std::byte> buffer(kCopyStep);
    std::uint64_t offset = 0;
    while (const std::size_t got = read_at(from, offset, buffer)) {
        for (std::size_t written = 0; written < got;) {
            const ssize_t n =
                ::pwrite(to, buffer.data() + written, got - written, static_cast<off_t>(offset + written));
            if (n < 0 && errno != EINTR)
                fail_number("cannot copy a file", errno);
            written += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
        }
        offset += got;
    }
}

std::optional<std::string> value_of(int fd, const std::string& name) {
    std::string value(kMaxValue, '\0');
    const ssize_t size = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (size < 0 && errno == ENODATA)
        return std::nullopt;
    if (size < 0)
        fail_number("cannot read an attribute", errno);
    value.resize(static_cast<std::size_t>(size));
    return value;
}

} // namespace

FileFlags lift_flags(int fd) {
    const FileFlags flags = forbidding_flags(fd);
    unsigned value = flags.value_or(0) & ~kForbidding;
    if (flags && ::ioctl(fd, FS_IOC_SETFLAGS, &value) != 0)
        fail_number("cannot take the flags of a file off", errno);
    return flags;
}

void restore_flags(int fd, const FileFlags& flags) {
    unsigned value = flags.value_or(0);
    if (flags && ::ioctl(fd, FS_IOC_SETFLAGS, &value) != 0)
        fail_number("cannot set the flags of a file", errno);
}

KeptAttributes::KeptAttributes(int fd) {
    std::string names(kMaxValue, '\0');
    const ssize_t size = ::flistxattr(fd, names.data(), names.size());
    if (size < 0 && errno == EOPNOTSUPP)
        return;
    if (size < 0)
        fail_number("cannot read the attributes of a file", errno);
    names.resize(static_cast<std::size_t>(size));
    while (!names.empty()) {
        std::string name = names.substr(0, names.find('\0'));
        names.erase(0, name.size() + 1);
        if (std::optional<std::string> value = value_of(fd, name))
            attributes_.emplace_back(std::move(name), *std::move(value));
    }
}

void KeptAttributes::restore(int fd) const {
    for (const auto& [name, value] : attributes_)
        if (name != "system.posix_acl_access" && value_of(fd, name) != value &&
            ::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0)
            fail_number("cannot set an attribute again", errno);
}

void KeptAttributes::copy_all(int fd) const {
    for (const auto& [name, value] : attributes_)
        if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0)
            fail_number("cannot set an attribute", errno);
}

void separate_names(int folder, int file, const std::string& name, const std::string& fresh) {
    struct stat status {};
    if (::fstat(file, &status) != 0)
        fail_number("cannot look at a file", errno);
    const UniqueFd copy(
        ::openat(folder, fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600));
    if (!copy)
        fail_number("cannot make a copy of a file", errno);
    copy_content(file, copy.get());
    if (::fchown(copy.get(), status.st_uid, status.st_gid) != 0 || ::fchmod(copy.get(), status.st_mode & 07777U) != 0)
        fail_number("cannot give a copy its owner", errno);
    for (const char* inherited : {"system.posix_acl_access", "system.posix_acl_default"})
        (void)::fremovexattr(copy.get(), inherited);
    const KeptAttributes attributes(file);
    attributes.copy_all(copy.get());
    const std::array<timespec, 2> times = {status.st_atim, status.st_mtim};
    if (::futimens(copy.get(), times.data()) != 0 || ::renameat(folder, fresh.c_str(), folder, name.c_str()) != 0)
        fail_number("cannot replace a file by its copy", errno);
}

} // namespace vm2oci::guest
