#include "formats/block/in_use.hpp"

#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace vm2oci {
namespace {

namespace fs = std::filesystem;

// QEMU's bits of permissions are one byte each: 0 consistent read, 1 write, 2 write what is there already, 3 resize.
constexpr off_t kHeldWrite = 101;
constexpr off_t kHeldResize = 103;
constexpr off_t kUnsharedRead = 200;

bool is_locked(int fd, off_t byte) {
    struct flock lock {};
    lock.l_type = F_WRLCK; // conflicts with a lock of either kind
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    // A file system without such locks has no QEMU that uses them either.
    return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

std::optional<std::string> writer_of_file(int fd) {
    for (const off_t byte : {kHeldWrite, kHeldResize, kUnsharedRead})
        if (is_locked(fd, byte))
            return "a running QEMU has it open for writing";
    return std::nullopt;
}

std::string device_number(dev_t device) {
    return fmt::format("{}:{}", major(device), minor(device));
}

// The device and its partitions, as /proc/self/mountinfo numbers them.
std::set<std::string> with_partitions(dev_t device) {
    std::set<std::string> numbers = {device_number(device)};
    std::error_code none;
    for (const fs::directory_entry& child : fs::directory_iterator("/sys/dev/block/" + device_number(device), none)) {
        std::ifstream file(child.path() / "dev");
        std::string number;
        if (fs::exists(child.path() / "partition", none) && file >> number)
            numbers.insert(number);
    }
    return numbers;
}

struct Mounts {
    std::string writable; // where; empty: nowhere
    bool any = false;
};

// proc(5): ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS [FIELDS…] - TYPE SOURCE SUPER-OPTIONS
Mounts find_mounts(const std::set<std::string>& devices) {
    Mounts found;
    std::ifstream table("/proc/self/mountinfo");
    for (std::string line; std::getline(table, line);) {
        std::istringstream fields(line);
        std::array<std::string, 6> head;
        for (std::string& field : head)
            fields >> field;
        const std::size_t separator = line.find(" - ");
        if (devices.count(head[2]) == 0 || separator == std::string::npos)
            continue;
        found.any = true;
        std::istringstream tail(line.substr(separator + 3));
        std::string type;
        std::string source;
        std::string options;
        tail >> type >> source >> options;
        if (options != "ro" && !options.starts_with("ro,"))
            found.writable = head[4];
    }
    return found;
}

std::optional<std::string> writer_of_device(int fd, dev_t device) {
    const Mounts mounts = find_mounts(with_partitions(device));
    if (!mounts.writable.empty())
        return "it is mounted writable on " + escape_untrusted(mounts.writable);
    if (mounts.any)
        return std::nullopt; // read-only: claimed, and nobody writes
    // The kernel lets one holder claim a device, and a claim of a partition holds the whole device too.
    const UniqueFd exclusive(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY | O_CLOEXEC | O_EXCL));
    if (!exclusive && errno == EBUSY)
        return "the kernel uses it (a volume group, an array, a mapping, swap or a mount elsewhere)";
    return std::nullopt;
}

// Its kernel's encoding of a device's number (huge_encode_dev in linux/kdev_t.h) is not that of libc.
dev_t decoded_device(std::uint64_t number) {
    return makedev(static_cast<unsigned>(number >> 8 & 0xfff),
                   static_cast<unsigned>((number & 0xff) | (number >> 12 & 0xfff00)));
}

// Whether `loop` says that it stands for the file. What it names itself by is opened nowhere: nobody gave us that name.
bool stands_for(int loop, const struct stat& file) {
    loop_info64 info{};
    return ::ioctl(loop, LOOP_GET_STATUS64, &info) == 0 && info.lo_inode == file.st_ino &&
           decoded_device(info.lo_device) == file.st_dev;
}

// The file behind a loop device changes with it.
std::optional<std::string> writer_through_loop(int fd, const struct stat& file) {
    std::error_code none;
    std::optional<std::string> name;
    for (const fs::directory_entry& device : fs::directory_iterator("/sys/block", none)) {
        std::ifstream text(device.path() / "loop/backing_file");
        std::ifstream properties(device.path() / "dev");
        std::string backing;
        unsigned major_number = 0;
        unsigned minor_number = 0;
        char colon = '\0';
        if (!std::getline(text, backing) || !(properties >> major_number >> colon >> minor_number))
            continue;
        if (!name)
            name = fs::read_symlink(fmt::format("/proc/self/fd/{}", fd), none).string();
        if (backing != *name && file.st_nlink < 2) // then it has no other name
            continue;
        const std::string loop = "/dev/" + device.path().filename().string();
        const UniqueFd opened(::open(loop.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)); // without it the mounts tell
        if (backing != *name && !stands_for(opened.get(), file))
            continue;
        if (const auto writer = writer_of_device(opened.get(), makedev(major_number, minor_number)))
            return fmt::format("it lies behind {}, and {}", loop, *writer);
    }
    return std::nullopt;
}

} // namespace

std::optional<std::string> writer_of(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return std::nullopt;
    if (S_ISBLK(status.st_mode))
        return writer_of_device(fd, status.st_rdev);
    const std::optional<std::string> writer = writer_of_file(fd);
    return writer ? writer : writer_through_loop(fd, status);
}

} // namespace vm2oci
