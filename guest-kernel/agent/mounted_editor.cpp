#include "guest-kernel/agent/mounted_editor.hpp"

#include "formats/base/escape.hpp"

#include "guest-kernel/agent/kept_attributes.hpp"
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace vm2oci::guest {
namespace {

constexpr const char* kLabel = "security.selinux";
constexpr const char* kReplacement = ".vm2oci-new";
constexpr std::array kAccessLists = {"system.posix_acl_access", "system.posix_acl_default"};
constexpr std::size_t kMaxLabel = 4096; // a page, which is what the kernel takes

class DescriptorSink final : public ByteSink {
  public:
    explicit DescriptorSink(int fd) : fd_(fd) {}
    void write(std::span<const std::byte> bytes) override {
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                fail_number("cannot write", errno);
            total_ += static_cast<std::uint64_t>(n);
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
    }
    std::uint64_t total() const { return total_; }

  private:
    int fd_;
    std::uint64_t total_ = 0;
};

class TextInMemory final : public FileContent {
  public:
    explicit TextInMemory(std::string_view text) : text_(text) {}
    void copy_to(ByteSink& out) const override { out.write(as_bytes(text_)); }

  private:
    std::string_view text_;
};

UniqueFd open_beneath(int folder, const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<__u64>(flags | O_CLOEXEC | O_NOCTTY);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how)));
    if (!fd)
        fail_number("cannot open " + quote_untrusted(path), errno);
    return fd;
}

std::string by_descriptor(int folder, const std::string& name) {
    return "/proc/self/fd/" + std::to_string(folder) + "/" + name;
}

void check(int result, const char* what) {
    if (result != 0)
        fail_number(what, errno);
}

struct stat status_of(int fd) {
    struct stat status {};
    check(::fstat(fd, &status), "cannot look at a file");
    return status;
}

enum class AccessTime { keep, set };

void set_times(int fd, std::int64_t time, AccessTime access) {
    const std::array<timespec, 2> times = {
        timespec{static_cast<time_t>(time), access == AccessTime::set ? 0 : UTIME_OMIT},
        timespec{static_cast<time_t>(time), 0}};
    check(::futimens(fd, times.data()), "cannot set a time");
}

void set_owner_and_mode(int fd, const FileAttributes& attributes, unsigned default_permissions) {
    check(::fchown(fd, attributes.uid.value_or(0), attributes.gid.value_or(0)), "cannot set an owner");
    check(::fchmod(fd, attributes.permissions.value_or(default_permissions)), "cannot set a mode");
}

// A default list of the folder gives new files rights that nobody asked for.
void drop_access_lists(int fd) {
    for (const char* name : kAccessLists)
        if (::fremovexattr(fd, name) != 0 && errno != ENODATA && errno != EOPNOTSUPP)
            fail_number("cannot remove an access list", errno);
}

void fill(int fd, std::uint64_t size, const FileContent& content) {
    DescriptorSink sink(fd);
    content.copy_to(sink);
    if (sink.total() != size)
        fail(ErrorKind::io, "the content of a file has another size than was said");
}

// For reading; none if it is no regular file, and to open a device or a pipe would do more than look.
UniqueFd open_regular(int folder, const std::string& name) {
    struct stat status {};
    if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode))
        return {};
    return UniqueFd(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
}

void remove_below(int folder, const std::string& name);

void empty_folder(int folder) {
    const int copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0)
        fail_number("cannot open a folder", errno);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(copy), ::closedir);
    if (!entries)
        fail_number("cannot read a folder", errno);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(entries.get())) {
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
            names.emplace_back(entry->d_name);
        errno = 0;
    }
    if (errno != 0)
        fail_number("cannot read a folder", errno);
    for (const std::string& name : names)
        remove_below(folder, name);
}

// Depth is bounded by the descriptors that a process may have open.
void remove_below(int folder, const std::string& name) { // NOLINT(misc-no-recursion)
    const UniqueFd opened(::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened && errno != ENOTDIR && errno != ELOOP && errno != ENXIO)
        fail_number("cannot open " + quote_untrusted(name), errno);
    if (opened) {
        lift_flags(opened.get());
        empty_folder(opened.get());
        check(::unlinkat(folder, name.c_str(), AT_REMOVEDIR), "cannot remove a folder");
        return;
    }
    const UniqueFd file = open_regular(folder, name);
    const FileFlags flags = file ? lift_flags(file.get()) : std::nullopt;
    check(::unlinkat(folder, name.c_str(), 0), "cannot remove a file");
    if (flags && status_of(file.get()).st_nlink > 0)
        restore_flags(file.get(), flags);
}

} // namespace

ErrorKind kind_of_error_number(int number) {
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ErrorKind::limit;
    case EUCLEAN:
    case EBADMSG:
    case EIO:
    case EROFS: // the kernel found the file system broken, and lets nobody write any more
        return ErrorKind::corrupt;
    case ELOOP:
    case EXDEV:
    case EISDIR:
    case ENOTDIR:
    case EEXIST:
        return ErrorKind::unsafe;
    case EOPNOTSUPP:
    case ENODEV:
    case EINVAL:
        return ErrorKind::unsupported;
    default:
        return ErrorKind::external;
    }
}

void fail_number(const std::string& what, int number) {
    fail(kind_of_error_number(number), what + ": " + std::strerror(number));
}

MountedEditor::MountedEditor(UniqueFd folder, std::int64_t time) : folder_(std::move(folder)), time_(time) {}

MountedEditor::Place MountedEditor::place_of(std::string_view path) const {
    const std::size_t slash = path.rfind('/');
    const std::string parent = slash == std::string_view::npos ? "." : std::string(path.substr(0, slash));
    std::string name(path.substr(slash == std::string_view::npos ? 0 : slash + 1));
    if (!is_valid_file_name(name))
        fail(ErrorKind::unsafe, quote_untrusted(path) + " is no path of a file");
    return {open_beneath(folder_.get(), parent, O_RDONLY | O_DIRECTORY), std::move(name)};
}

void MountedEditor::touch_folder(const Place& place) const {
    set_times(place.folder.get(), time_, AccessTime::keep);
}

// `label`, or that of the folder where it is empty; none where the folder has none.
void MountedEditor::label_new(const Place& place, const std::string& label) const {
    std::array<char, kMaxLabel> value{};
    const ssize_t size = ::fgetxattr(place.folder.get(), kLabel, value.data(), value.size());
    if (size < 0 && (errno == ENODATA || errno == EOPNOTSUPP))
        return;
    if (size < 0)
        fail_number("cannot read a label", errno);
    // The value ends with a zero byte, as the kernel stores it.
    const std::string stored =
        label.empty() ? std::string(value.data(), static_cast<std::size_t>(size)) : label + std::string(1, '\0');
    check(::lsetxattr(by_descriptor(place.folder.get(), place.name).c_str(), kLabel, stored.data(), stored.size(), 0),
          "cannot set a label");
}

UniqueFd MountedEditor::make_new_file(const Place& place) const {
    UniqueFd file(::openat(place.folder.get(), place.name.c_str(),
                           O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600));
    if (!file)
        fail_number("cannot make a file", errno);
    drop_access_lists(file.get());
    return file;
}

MountedEditor::Opened MountedEditor::open_alone(const Place& place) const {
    Opened opened;
    UniqueFd reader = open_regular(place.folder.get(), place.name);
    if (!reader)
        fail(ErrorKind::unsafe, quote_untrusted(place.name) + " is no regular file that can be opened");
    opened.flags = lift_flags(reader.get());
    if (status_of(reader.get()).st_nlink > 1) {
        separate_names(place.folder.get(), reader.get(), place.name, place.name + kReplacement);
        restore_flags(reader.get(), opened.flags);
        touch_folder(place);
    }
    opened.file =
        UniqueFd(::openat(place.folder.get(), place.name.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY));
    if (!opened.file)
        fail_number("cannot open a file for writing", errno);
    return opened;
}

void MountedEditor::write_file(std::string_view path, std::uint64_t size, const FileContent& content,
                               const FileAttributes& attributes) {
    const Place place = place_of(path);
    struct stat status {};
    if (::fstatat(place.folder.get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT)
            fail_number("cannot look at a file", errno);
        const UniqueFd file = make_new_file(place);
        fill(file.get(), size, content);
        set_owner_and_mode(file.get(), attributes, 0644);
        label_new(place, attributes.selinux_label);
        set_times(file.get(), time_, AccessTime::set);
        return touch_folder(place);
    }
    const auto [file, flags] = open_alone(place);
    status = status_of(file.get());
    const KeptAttributes kept(file.get());
    check(::ftruncate(file.get(), 0), "cannot empty a file");
    fill(file.get(), size, content);
    if (attributes.uid || attributes.gid)
        check(::fchown(file.get(), attributes.uid.value_or(status.st_uid), attributes.gid.value_or(status.st_gid)),
              "cannot set an owner");
    check(::fchmod(file.get(), attributes.permissions.value_or(status.st_mode & 07777U)), "cannot set a mode");
    kept.restore(file.get());
    set_times(file.get(), time_, AccessTime::keep);
    restore_flags(file.get(), flags);
}

void MountedEditor::append_content(std::string_view path, const FileContent& content) {
    const Place place = place_of(path);
    const auto [file, flags] = open_alone(place);
    const struct stat status = status_of(file.get());
    const KeptAttributes kept(file.get());
    if (::lseek(file.get(), 0, SEEK_END) < 0)
        fail_number("cannot find the end of a file", errno);
    DescriptorSink sink(file.get());
    content.copy_to(sink);
    check(::fchmod(file.get(), status.st_mode & 07777U), "cannot set a mode");
    kept.restore(file.get());
    set_times(file.get(), time_, AccessTime::keep);
    restore_flags(file.get(), flags);
}

void MountedEditor::append_file(std::string_view path, std::string_view content) {
    append_content(path, TextInMemory(content));
}

void MountedEditor::make_folder(std::string_view path, const FileAttributes& attributes) {
    const Place place = place_of(path);
    check(::mkdirat(place.folder.get(), place.name.c_str(), 0700), "cannot make a folder");
    const UniqueFd made = open_beneath(place.folder.get(), place.name, O_RDONLY | O_DIRECTORY);
    drop_access_lists(made.get());
    set_owner_and_mode(made.get(), attributes, 0755);
    label_new(place, attributes.selinux_label);
    set_times(made.get(), time_, AccessTime::set);
    touch_folder(place);
}

void MountedEditor::make_symlink(std::string_view path, std::string_view target, const std::string& selinux_label) {
    const Place place = place_of(path);
    check(::symlinkat(std::string(target).c_str(), place.folder.get(), place.name.c_str()), "cannot make a link");
    check(::fchownat(place.folder.get(), place.name.c_str(), 0, 0, AT_SYMLINK_NOFOLLOW), "cannot set an owner");
    label_new(place, selinux_label);
    const std::array<timespec, 2> times = {timespec{static_cast<time_t>(time_), 0},
                                           timespec{static_cast<time_t>(time_), 0}};
    check(::utimensat(place.folder.get(), place.name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW), "cannot set a time");
    touch_folder(place);
}

void MountedEditor::remove(std::string_view path) {
    const Place place = place_of(path);
    remove_below(place.folder.get(), place.name);
    touch_folder(place);
}

void MountedEditor::finish() {
    check(::syncfs(folder_.get()), "cannot write the file system");
}

} // namespace vm2oci::guest
