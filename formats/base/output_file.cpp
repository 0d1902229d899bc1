#include "formats/base/output_file.hpp"

#include "formats/base/error.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxLinks = 40;                           // as the kernel
constexpr std::size_t kLargestAttribute = 64ULL * 1024; // its limit of a value

fs::path folder_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

bool is_in_proc(const fs::path& path) {
    struct statfs status {};
    return ::statfs(folder_of(path).c_str(), &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
}

// As the kernel's fs.protected_symlinks, which does not see that we follow a link ourselves.
void check_link(const fs::path& path, const struct stat& link) {
    struct stat folder {};
    if (::stat(folder_of(path).c_str(), &folder) != 0)
        fail_errno("cannot write " + path.string(), errno);
    if ((folder.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH) && link.st_uid != ::geteuid() &&
        link.st_uid != folder.st_uid)
        fail(ErrorKind::unsafe, path.string() + " is a link that another user made in a folder of everybody's");
}

bool is_mount_point(const fs::path& path) {
    struct statx status {};
    if (::statx(AT_FDCWD, path.c_str(), AT_NO_AUTOMOUNT, STATX_TYPE, &status) != 0)
        return false;
    return (status.stx_attributes_mask & status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

enum class OutputPlace { free, replaceable, mount_point, special };

// `target` has been resolved.
OutputPlace look_at_output(const fs::path& target) {
    struct stat status {};
    if (::stat(target.c_str(), &status) != 0) {
        if (errno == ENOENT && !is_in_proc(target))
            return OutputPlace::free;
        fail_errno("cannot write " + target.string(), errno);
    }
    if (S_ISDIR(status.st_mode))
        fail(ErrorKind::conflict, target.string() + " is a folder; name a file");
    if (!S_ISREG(status.st_mode) || is_in_proc(target))
        return OutputPlace::special;
    return is_mount_point(target) ? OutputPlace::mount_point : OutputPlace::replaceable;
}

fs::path replaceable_target(const fs::path& path) {
    fs::path target = resolve_output(path);
    const OutputPlace place = look_at_output(target);
    if (place == OutputPlace::special)
        fail(ErrorKind::unsupported, path.string() + " is a device, a pipe or a descriptor, and this output is written "
                                                     "at any offset; name a file");
    if (place == OutputPlace::mount_point)
        fail(ErrorKind::unsupported, path.string() + " is a mount point, which cannot be replaced; name a file in a "
                                                     "folder, or mount the folder");
    return target;
}

// Best effort, which is the contract: what the file system or our rights do not allow is left out.
bool copy_attributes(const fs::path& from, int to) {
    bool all_rights = true;
    std::vector<char> names(kLargestAttribute); // and of a list
    const ssize_t length = ::llistxattr(from.c_str(), names.data(), names.size());
    if (length < 0)
        return errno == ENOTSUP;
    std::vector<char> value(kLargestAttribute);
    for (std::string_view rest(names.data(), static_cast<std::size_t>(length)); !rest.empty();) {
        const std::string name(rest.substr(0, rest.find('\0')));
        rest.remove_prefix(std::min(rest.size(), name.size() + 1));
        // These speak about the old content.
        if (name == "security.capability" || name == "security.ima" || name == "security.evm")
            continue;
        const ssize_t size = ::lgetxattr(from.c_str(), name.c_str(), value.data(), value.size());
        const bool set =
            size >= 0 && ::fsetxattr(to, name.c_str(), value.data(), static_cast<std::size_t>(size), 0) == 0;
        if (!set && name == "system.posix_acl_access")
            all_rights = false;
    }
    return all_rights;
}

// Whoever reads may come late, or stop: an open() or write() that waits for them would hear no cancellation.
void write_to_pipe(const fs::path& target, std::span<const std::byte> bytes, const OperationContext& operation) {
    constexpr int kPollMilliseconds = 50;
    UniqueFd fd;
    for (bool told = false; !fd;) {
        operation.check_cancelled();
        fd = UniqueFd(::open(target.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
        if (fd)
            break;
        if (errno != ENXIO)
            fail_errno("cannot write " + target.string(), errno);
        if (!told)
            operation.progress->note("waiting for somebody to read " + target.string());
        told = true;
        ::poll(nullptr, 0, kPollMilliseconds);
    }
    while (!bytes.empty()) {
        operation.check_cancelled();
        const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
        if (written >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {
            pollfd room{fd.get(), POLLOUT, 0};
            ::poll(&room, 1, kPollMilliseconds);
        } else if (errno != EINTR) {
            fail_errno("cannot write " + target.string(), errno);
        }
    }
}

bool is_pipe(const fs::path& target) {
    struct stat status {};
    return ::stat(target.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
}

void write_in_place(const fs::path& target, int flags, std::span<const std::byte> bytes) {
    const UniqueFd fd(::open(target.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | flags));
    if (!fd)
        fail_errno("cannot write " + target.string(), errno);
    with_context(target.string(), [&] { write_exactly(fd.get(), bytes); });
    if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
        fail_errno("cannot write " + target.string(), errno);
}

// The number of a descriptor of our own that `target` names.
std::optional<int> own_descriptor(const fs::path& target) {
    std::error_code error;
    const fs::path folder = fs::canonical(folder_of(target), error);
    const std::string self = "/proc/" + std::to_string(::getpid());
    const std::string name = target.filename().string();
    if (error || (folder != self + "/fd" && !folder.string().starts_with(self + "/task/")) || name.empty() ||
        name.size() > 9 || name.find_first_not_of("0123456789") != std::string::npos)
        return std::nullopt;
    return std::stoi(name);
}

} // namespace

std::optional<unsigned> keep_status(const fs::path& old, int fd) {
    struct stat status {};
    if (::lstat(old.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
        return std::nullopt;
    // Owner before mode: a new owner must never meet rights that were not meant for it.
    const bool same_owner = ::fchown(fd, status.st_uid, status.st_gid) == 0;
    const bool same_group = same_owner || ::fchown(fd, static_cast<uid_t>(-1), status.st_gid) == 0;
    unsigned mode = status.st_mode & 0777;
    // An access list that came over for a group of ours would give away more than the old one did.
    const bool same_rights = same_group && copy_attributes(old, fd);
    if (!same_rights)
        mode &= ~070U | ((mode & 07) << 3);
    return mode;
}

fs::path resolve_output(const fs::path& path) {
    fs::path target = path;
    for (int links = 0; links < kMaxLinks; ++links) {
        struct stat status {};
        if (::lstat(target.c_str(), &status) != 0 || !S_ISLNK(status.st_mode) || is_in_proc(target))
            return target;
        check_link(target, status);
        std::error_code error;
        const fs::path next = fs::read_symlink(target, error);
        if (error)
            fail_errno("cannot write " + path.string(), error.value());
        target = next.is_absolute() ? next : folder_of(target) / next;
    }
    fail_errno("cannot write " + path.string(), ELOOP);
}

fs::path resolve_folder(const fs::path& path) {
    std::error_code error;
    if (fs::is_directory(path, error))
        return path;
    if (!path.has_filename() && path.has_parent_path()) // lstat() of "a/" is stat() of "a"
        return resolve_folder(path.parent_path());
    return resolve_output(path.has_parent_path() ? resolve_folder(path.parent_path()) / path.filename() : path);
}

bool is_replaceable_output(const fs::path& path) {
    const OutputPlace place = look_at_output(resolve_output(path));
    return place == OutputPlace::free || place == OutputPlace::replaceable;
}

OutputFile::OutputFile(const fs::path& path) : target_(replaceable_target(path)), file_(folder_of(target_)) {
    collect_stale_files(folder_of(target_));
}

ReplacedFile OutputFile::replace(std::optional<unsigned> mode) {
    const std::optional<unsigned> kept = keep_status(target_, file_.fd());
    return file_.replace(target_, kept.value_or(mode.value_or(0666 & ~process_umask())));
}

void write_output(const fs::path& path, std::span<const std::byte> bytes, const OperationContext& operation) {
    const fs::path target = resolve_output(path);
    switch (look_at_output(target)) {
    case OutputPlace::free:
    case OutputPlace::replaceable: {
        OutputFile file(target);
        write_exactly(file.fd(), bytes);
        file.publish();
        return;
    }
    case OutputPlace::mount_point:
        write_in_place(target, O_TRUNC, bytes);
        return;
    case OutputPlace::special:
        // Opened by name, a descriptor that stands for a file would be written from its beginning.
        if (const std::optional<int> own = own_descriptor(target))
            with_context(path.string(), [&] { write_exactly(*own, bytes); });
        else if (is_pipe(target))
            write_to_pipe(target, bytes, operation);
        else
            write_in_place(target, O_APPEND, bytes);
        return;
    }
}

} // namespace vm2oci
