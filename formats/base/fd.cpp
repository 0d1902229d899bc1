#include "formats/base/fd.hpp"

#include "formats/base/error.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace vm2oci {
namespace fs = std::filesystem;

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

void UniqueFd::reset() noexcept {
    if (fd_ >= 0)
        ::close(fd_);
    fd_ = -1;
}

UniqueFd open_read(const fs::path& path) {
    // O_NONBLOCK: a FIFO given as a disk must be refused by its type, not waited for.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        fail_errno("cannot open " + path.string(), errno);
    return UniqueFd(fd);
}

std::size_t read_at(int fd, std::uint64_t offset, std::span<std::byte> buffer) {
    std::size_t done = 0;
    while (done < buffer.size()) {
        const ssize_t n = ::pread(fd, buffer.data() + done, buffer.size() - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail_errno("cannot read", errno);
        if (n == 0)
            break;
        done += static_cast<std::size_t>(n);
    }
    return done;
}

void read_exactly_at(int fd, std::uint64_t offset, std::span<std::byte> buffer) {
    if (read_at(fd, offset, buffer) != buffer.size())
        fail(ErrorKind::corrupt, "the file ends too early");
}

void write_exactly_at(int fd, std::uint64_t offset, std::span<const std::byte> buffer) {
    while (!buffer.empty()) {
        const ssize_t n = ::pwrite(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail_errno("cannot write", errno);
        buffer = buffer.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
}

void write_exactly(int fd, std::span<const std::byte> buffer) {
    while (!buffer.empty()) {
        const ssize_t n = ::write(fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail_errno("cannot write", errno);
        buffer = buffer.subspan(static_cast<std::size_t>(n));
    }
}

std::uint64_t file_size(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        fail_errno("cannot stat", errno);
    if (S_ISREG(status.st_mode))
        return static_cast<std::uint64_t>(status.st_size);
    if (S_ISBLK(status.st_mode)) {
        std::uint64_t bytes = 0;
        if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0)
            fail_errno("cannot get the size of the block device", errno);
        return bytes;
    }
    fail(ErrorKind::unsupported, "neither a regular file nor a block device");
}

std::optional<std::string> read_file(const fs::path& path, std::size_t limit) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT)
        return std::nullopt;
    if (!fd)
        fail_errno("cannot open " + path.string(), errno);
    std::string text;
    std::byte buffer[16384];
    for (;;) {
        const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail_errno("cannot read " + path.string(), errno);
        if (n == 0)
            return text;
        if (text.size() + static_cast<std::size_t>(n) > limit)
            fail(ErrorKind::limit, path.string() + " is larger than " + std::to_string(limit) + " bytes");
        text.append(reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(n));
    }
}

namespace {

constexpr std::string_view kHiddenPrefix = ".vm2oci-";
constexpr std::string_view kHiddenSuffix = ".tmp";
constexpr std::size_t kHiddenDigits = 32;

// Random, as all processes in containers have the same few ids.
fs::path hidden_name(const fs::path& folder) {
    std::array<unsigned char, kHiddenDigits / 2> random{};
    if (::getentropy(random.data(), random.size()) != 0)
        fail_errno("cannot get random bytes", errno);
    std::string name(kHiddenPrefix);
    for (const unsigned char byte : random) {
        name += "0123456789abcdef"[byte >> 4];
        name += "0123456789abcdef"[byte & 15];
    }
    return folder / (name.append(kHiddenSuffix));
}

bool is_hidden_name(std::string_view name) {
    if (name.size() != kHiddenPrefix.size() + kHiddenDigits + kHiddenSuffix.size() ||
        !name.starts_with(kHiddenPrefix) || !name.ends_with(kHiddenSuffix))
        return false;
    return name.substr(kHiddenPrefix.size(), kHiddenDigits).find_first_not_of("0123456789abcdef") ==
           std::string_view::npos;
}

bool has_name(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) != 0 || status.st_nlink != 0;
}

// A file system without locks has no collector either.
void lock_hidden(int fd) {
    while (::flock(fd, LOCK_EX) != 0)
        if (errno != EINTR)
            return;
}

// Locked by us. A collector may have got the lock between open() and flock(): then the name is gone, and another is
// made.
UniqueFd open_hidden(const fs::path& folder, fs::path& name) {
    for (;;) {
        name = hidden_name(folder);
        UniqueFd fd(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
        if (!fd && errno == EEXIST)
            continue;
        if (!fd)
            fail_errno("cannot write in " + folder.string(), errno);
        lock_hidden(fd.get());
        if (has_name(fd.get()))
            return fd;
    }
}

// What linkat() says where there are no hard links (exFAT, CIFS), or too many of them.
bool means_no_links(int error) {
    return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK || error == EINVAL;
}

// Becomes `path` unless that is there; false: it is. Leaves `name` where it is when false.
bool rename_new(const fs::path& name, const fs::path& path) {
    if (::renameat2(AT_FDCWD, name.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0)
        return true;
    if (errno == EEXIST)
        return false;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        fail_errno("cannot write " + path.string(), errno);
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0)
        return false;
    if (::rename(name.c_str(), path.c_str()) != 0)
        fail_errno("cannot write " + path.string(), errno);
    return true;
}

unsigned read_umask() {
    std::optional<std::string> status;
    try {
        status = read_file("/proc/self/status", std::size_t{64} << 10);
    } catch (const Error&) {
        status.reset();
    }
    if (status)
        if (const std::size_t at = status->find("\nUmask:"); at != std::string::npos)
            return static_cast<unsigned>(std::strtoul(status->c_str() + at + 7, nullptr, 8)) & 0777;
    // No /proc: meanwhile only stricter, whoever creates a file.
    const mode_t mask = ::umask(0077);
    ::umask(mask);
    return mask & 0777;
}

} // namespace

unsigned process_umask() {
    static const unsigned mask = read_umask();
    return mask;
}

TemporaryFile::TemporaryFile(const fs::path& folder) : folder_(folder.empty() ? fs::path(".") : folder) {
    // Without /proc a file that has no name cannot get one.
    if (::access("/proc/self/fd", X_OK) == 0) {
        fd_ = UniqueFd(::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        if (!fd_ && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
            fail_errno("cannot write in " + folder_.string(), errno);
    }
    if (!fd_)
        fd_ = open_hidden(folder_, name_);
    else
        lock_hidden(fd_.get());
}

TemporaryFile::~TemporaryFile() {
    if (fd_ && !name_.empty())
        ::unlink(name_.c_str());
}

void TemporaryFile::make_durable(const fs::path& path, std::optional<unsigned> mode) {
    // Some file systems know no modes (exFAT, CIFS): there is nothing to widen then.
    if (::fchmod(fd_.get(), mode.value_or(0666 & ~process_umask())) != 0 && errno != EPERM && errno != EOPNOTSUPP)
        fail_errno("cannot set the mode of " + path.string(), errno);
    if (::fsync(fd_.get()) != 0)
        fail_errno("cannot write " + path.string(), errno);
}

bool TemporaryFile::publish_new(const fs::path& path, std::optional<unsigned> mode) {
    make_durable(path, mode);
    const std::string self = name_.empty() ? "/proc/self/fd/" + std::to_string(fd_.get()) : name_.string();
    bool is_new = ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
    bool renamed = false;
    if (!is_new && errno != EEXIST) {
        if (name_.empty() || !means_no_links(errno))
            fail_errno("cannot write " + path.string(), errno);
        is_new = renamed = rename_new(name_, path);
    }
    if (!name_.empty() && !renamed)
        ::unlink(name_.c_str());
    name_.clear();
    fd_.reset();
    sync_folder(folder_);
    return is_new;
}

ReplacedFile::ReplacedFile(fs::path path, Old old, fs::path hidden, UniqueFd lock)
    : path_(std::move(path)), old_(old), hidden_(std::move(hidden)), lock_(std::move(lock)) {}

ReplacedFile::ReplacedFile(ReplacedFile&& other) noexcept
    : path_(std::exchange(other.path_, fs::path())), old_(other.old_), hidden_(std::move(other.hidden_)),
      lock_(std::move(other.lock_)) {}

ReplacedFile::~ReplacedFile() {
    if (path_.empty())
        return;
    if (old_ == Old::hidden)
        ::rename(hidden_.c_str(), path_.c_str());
    else if (old_ == Old::absent)
        ::unlink(path_.c_str());
}

void ReplacedFile::keep() noexcept {
    // An empty folder is no loss; one that is not stays under its hidden name.
    if (!path_.empty() && old_ == Old::hidden && ::unlink(hidden_.c_str()) != 0 && errno == EISDIR)
        ::rmdir(hidden_.c_str());
    path_.clear();
}

// `name_` becomes `path`.
ReplacedFile TemporaryFile::switch_names(const fs::path& path) {
    const auto fail_to_write = [&] {
        if (errno == EBUSY)
            fail(ErrorKind::unsupported, path.string() + " is a mount point, which cannot be replaced");
        fail_errno("cannot write " + path.string(), errno);
    };
    UniqueFd old(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (old)
        ::flock(old.get(), LOCK_SH | LOCK_NB); // a collector sees that it is in use; without locks there is none
    if (::renameat2(AT_FDCWD, name_.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0)
        return {path, ReplacedFile::Old::hidden, name_, std::move(old)};
    if (errno == ENOENT) {
        if (::rename(name_.c_str(), path.c_str()) != 0)
            fail_to_write();
        return {path, ReplacedFile::Old::absent, {}, {}};
    }
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        fail_to_write();
    const fs::path kept = hidden_name(folder_);
    const bool is_kept = ::link(path.c_str(), kept.c_str()) == 0;
    const bool was_absent = !is_kept && errno == ENOENT;
    if (::rename(name_.c_str(), path.c_str()) != 0) {
        const int error = errno;
        if (is_kept)
            ::unlink(kept.c_str());
        errno = error;
        fail_to_write();
    }
    if (is_kept)
        return {path, ReplacedFile::Old::hidden, kept, std::move(old)};
    return {path, was_absent ? ReplacedFile::Old::absent : ReplacedFile::Old::lost, {}, {}};
}

ReplacedFile TemporaryFile::replace(const fs::path& path, std::optional<unsigned> mode) {
    make_durable(path, mode);
    if (name_.empty()) {
        // linkat() never replaces, so the file gets a hidden name first and a rename makes the switch.
        const fs::path hidden = hidden_name(folder_);
        const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
        if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, hidden.c_str(), AT_SYMLINK_FOLLOW) != 0)
            fail_errno("cannot write " + path.string(), errno);
        name_ = hidden;
    }
    ReplacedFile replacement = switch_names(path);
    name_.clear();
    fd_.reset();
    sync_folder(folder_);
    return replacement;
}

void TemporaryFile::publish(const fs::path& path, std::optional<unsigned> mode) {
    replace(path, mode).keep();
}

void collect_stale_files(const fs::path& folder) noexcept {
    try {
        std::error_code error;
        for (fs::directory_iterator entry(folder.empty() ? fs::path(".") : folder, error), end; !error && entry != end;
             entry.increment(error)) {
            const fs::path& path = entry->path();
            if (!is_hidden_name(path.filename().string()))
                continue;
            const UniqueFd fd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
            struct stat opened {};
            struct stat named {};
            if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(fd.get(), &opened) != 0 ||
                ::lstat(path.c_str(), &named) != 0 || !S_ISREG(opened.st_mode))
                continue;
            if (opened.st_dev == named.st_dev && opened.st_ino == named.st_ino)
                ::unlink(path.c_str());
        }
    } catch (const std::exception&) {
        // Out of memory: the next run collects.
        return;
    }
}

void sync_folder(const fs::path& folder) {
    const UniqueFd fd(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        fail_errno("cannot open " + folder.string(), errno);
    // Some file systems cannot sync a folder and say EINVAL; the rename has happened all the same.
    if (::fsync(fd.get()) != 0 && errno != EINVAL)
        fail_errno("cannot write " + folder.string(), errno);
}

UniqueFd scratch_file(const fs::path& folder) {
    fs::path place = folder;
    if (place.empty()) {
        const char* environment = std::getenv("TMPDIR");
        place = environment != nullptr && *environment != '\0' ? environment : "/var/tmp";
    }
    UniqueFd fd(::open(place.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600));
    if (fd)
        return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        fail_errno("cannot write in " + place.string(), errno);
    std::string name = (place / "vm2oci-XXXXXX").string();
    fd = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
    if (!fd)
        fail_errno("cannot write in " + place.string(), errno);
    ::unlink(name.c_str());
    return fd;
}

} // namespace vm2oci
