#include "formats/base/fd.hpp"

#include "formats/base/error.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
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

UniqueFd open_write(const fs::path& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        fail_errno("cannot write " + path.string(), errno);
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

fs::path hidden_name(const fs::path& folder) {
    static std::atomic<unsigned> counter{0};
    return folder / (".vm2oci-" + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".tmp");
}

} // namespace

TemporaryFile::TemporaryFile(const fs::path& folder) : folder_(folder.empty() ? fs::path(".") : folder) {
    fd_ = UniqueFd(::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd_)
        return;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        fail_errno("cannot write in " + folder_.string(), errno);
    name_ = hidden_name(folder_);
    fd_ = UniqueFd(::open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd_)
        fail_errno("cannot write in " + folder_.string(), errno);
}

TemporaryFile::~TemporaryFile() {
    if (fd_ && !name_.empty())
        ::unlink(name_.c_str());
}

void TemporaryFile::make_durable(const fs::path& path, unsigned mode) {
    if (::fchmod(fd_.get(), mode) != 0)
        fail_errno("cannot set the mode of " + path.string(), errno);
    if (::fsync(fd_.get()) != 0)
        fail_errno("cannot write " + path.string(), errno);
}

bool TemporaryFile::publish_new(const fs::path& path, unsigned mode) {
    make_durable(path, mode);
    const std::string self = name_.empty() ? "/proc/self/fd/" + std::to_string(fd_.get()) : name_.string();
    const bool is_new = ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
    if (!is_new && errno != EEXIST)
        fail_errno("cannot write " + path.string(), errno);
    if (!name_.empty())
        ::unlink(name_.c_str());
    name_.clear();
    fd_.reset();
    sync_folder(folder_);
    return is_new;
}

void TemporaryFile::publish(const fs::path& path, unsigned mode) {
    make_durable(path, mode);
    if (name_.empty()) {
        // linkat() never replaces, so the file gets a hidden name first and rename() makes the switch.
        const fs::path hidden = hidden_name(folder_);
        const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
        if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, hidden.c_str(), AT_SYMLINK_FOLLOW) != 0)
            fail_errno("cannot write " + path.string(), errno);
        name_ = hidden;
    }
    if (::rename(name_.c_str(), path.c_str()) != 0)
        fail_errno("cannot write " + path.string(), errno);
    name_.clear();
    fd_.reset();
    sync_folder(folder_);
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
