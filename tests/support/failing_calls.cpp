#include "tests/support/failing_calls.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace {

std::atomic<bool> armed{false};
std::mutex guard; // of what follows
std::string watched;
std::string failed_call;
unsigned wanted = 0;
unsigned counted = 0;

std::string path_of(int fd) {
    char target[4096];
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const long length = ::syscall(SYS_readlinkat, AT_FDCWD, link.c_str(), target, sizeof target);
    return length < 0 ? std::string() : std::string(target, static_cast<std::size_t>(length));
}

bool fails(const char* call, const std::string& path, int error) {
    const std::lock_guard lock(guard);
    if (path != watched && path.rfind(watched + "/", 0) != 0)
        return false;
    if (++counted != wanted)
        return false;
    failed_call = std::string(call) + " " + path;
    errno = error;
    return true;
}

bool path_fails(const char* call, const char* path) {
    return armed.load() && fails(call, path, EIO);
}

bool descriptor_fails(const char* call, int fd, int error = EIO) {
    return armed.load() && fails(call, path_of(fd), error);
}

int checked(long result) {
    return static_cast<int>(result); // syscall() has set errno
}

} // namespace

extern "C" {

int open(const char* path, int flags, ...) {
    std::va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    // What is only read changes nothing.
    if ((flags & O_ACCMODE) != O_RDONLY && path_fails("open", path))
        return -1;
    return checked(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

ssize_t write(int fd, const void* bytes, std::size_t size) {
    if (descriptor_fails("write", fd, ENOSPC))
        return -1;
    return ::syscall(SYS_write, fd, bytes, size);
}

ssize_t pwrite(int fd, const void* bytes, std::size_t size, off_t offset) {
    if (descriptor_fails("pwrite", fd, ENOSPC))
        return -1;
    return ::syscall(SYS_pwrite64, fd, bytes, size, offset);
}

// Nobody turns the machine off: what the disk would do for it is waited for a hundred thousand times.
int fsync(int fd) {
    return descriptor_fails("fsync", fd) ? -1 : 0;
}

int ftruncate(int fd, off_t length) noexcept {
    return descriptor_fails("ftruncate", fd, ENOSPC) ? -1 : checked(::syscall(SYS_ftruncate, fd, length));
}

int fchmod(int fd, mode_t mode) noexcept {
    return descriptor_fails("fchmod", fd) ? -1 : checked(::syscall(SYS_fchmod, fd, mode));
}

int mkdir(const char* path, mode_t mode) noexcept {
    return path_fails("mkdir", path) ? -1 : checked(::syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}

int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
    return path_fails("linkat", to) ? -1 : checked(::syscall(SYS_linkat, from_folder, from, to_folder, to, flags));
}

int rename(const char* from, const char* to) noexcept {
    return path_fails("rename", to) ? -1 : checked(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
    return path_fails("renameat2", to) ? -1
                                       : checked(::syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}

} // extern "C"

namespace vm2oci::test {

FailingCalls::FailingCalls(const std::filesystem::path& folder, unsigned fails) {
    const std::lock_guard lock(guard);
    watched = folder.string();
    failed_call.clear();
    wanted = fails;
    counted = 0;
    armed.store(true);
}

FailingCalls::~FailingCalls() {
    armed.store(false);
}

unsigned FailingCalls::count() const {
    const std::lock_guard lock(guard);
    return counted;
}

std::string FailingCalls::failed() const {
    const std::lock_guard lock(guard);
    return failed_call;
}

} // namespace vm2oci::test
