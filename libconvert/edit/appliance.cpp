#include "libconvert/edit/appliance.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "libconvert/guest/appliance_session.hpp"
#include "libconvert/guest/guestfs_library.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace vm2oci {
namespace {

constexpr std::size_t kAppendStep = 2ull * 1024 * 1024; // libguestfs's messages hold 4 MiB
constexpr const char* kLabel = "security.selinux";

class ScratchSink final : public ByteSink {
  public:
    explicit ScratchSink(int fd) : fd_(fd) {}
    void write(std::span<const std::byte> bytes) override {
        write_exactly(fd_, bytes);
        total_ += bytes.size();
    }
    std::uint64_t total() const { return total_; }

  private:
    int fd_;
    std::uint64_t total_ = 0;
};

class ApplianceEditor final : public FileSystemEditor {
  public:
    ApplianceEditor(std::shared_ptr<const ApplianceSession> session, const std::vector<ApplianceMount>& mounts,
                    std::int64_t time, const OperationContext& operation)
        : session_(std::move(session)), scratch_(operation.scratch_folder), time_(time) {
        check(guestfs_library().umount_all(handle()), "unmounting");
        for (const ApplianceMount& wanted : mounts)
            check(guestfs_library().mount_options(handle(), "", wanted.device.c_str(), wanted.mount_point.c_str()),
                  "mounting");
        if (time_ <= 0)
            choose_time();
    }

    void write_file(std::string_view path, std::uint64_t size, const FileContent& content,
                    const FileAttributes& attributes) override {
        const std::string absolute = "/" + std::string(path);
        const bool fresh = !is_there(absolute);
        if (!fresh)
            separate(absolute);
        const std::string capability = fresh ? "" : capability_of(absolute);
        const UniqueFd file = scratch_file(scratch_);
        ScratchSink sink(file.get());
        content.copy_to(sink);
        if (sink.total() != size)
            fail(ErrorKind::io, "a file changed while it was copied into the guest; try again");
        check(guestfs_library().upload(handle(), fmt::format("/proc/self/fd/{}", file.get()).c_str(), absolute.c_str()),
              "writing a file");
        set_attributes(absolute, attributes, fresh ? std::optional(0644u) : std::nullopt);
        set_capability(absolute, capability);
        if (fresh)
            set_label(absolute, attributes.selinux_label);
        touch(absolute);
        if (fresh)
            touch_folder(absolute);
    }

    void append_file(std::string_view path, std::string_view content) override {
        const std::string absolute = "/" + std::string(path);
        separate(absolute);
        const std::string capability = capability_of(absolute);
        for (; !content.empty(); content.remove_prefix(std::min(content.size(), kAppendStep)))
            check(guestfs_library().write_append(handle(), absolute.c_str(), content.data(),
                                                 std::min(content.size(), kAppendStep)),
                  "appending to a file");
        set_capability(absolute, capability);
        touch(absolute);
    }

    void make_folder(std::string_view path, const FileAttributes& attributes) override {
        const std::string absolute = "/" + std::string(path);
        check(guestfs_library().mkdir(handle(), absolute.c_str()), "making a folder");
        set_attributes(absolute, attributes, 0755);
        set_label(absolute, attributes.selinux_label);
        touch(absolute);
        touch_folder(absolute);
    }

    void make_symlink(std::string_view path, std::string_view target, const std::string& selinux_label) override {
        const std::string absolute = "/" + std::string(path);
        check(guestfs_library().ln_s(handle(), std::string(target).c_str(), absolute.c_str()),
              "making a symbolic link");
        set_label(absolute, selinux_label);
        touch(absolute);
        touch_folder(absolute);
    }

    void remove(std::string_view path) override {
        const std::string absolute = "/" + std::string(path);
        check(guestfs_library().rm_rf(handle(), absolute.c_str()), "removing");
        touch_folder(absolute);
    }

    void finish() override {
        check(guestfs_library().umount_all(handle()), "unmounting");
        session_->settle();
    }

  private:
    guestfs_h* handle() const { return session_->handle(); }

    void check(int result, const char* what) const {
        if (result == 0)
            return;
        if (session_->disk_error() || guestfs_library().last_errno(handle()) != ENOSPC)
            session_->throw_error(what);
        fail(ErrorKind::limit, "the guest's file system is full: grow it, or remove something");
    }

    // The kernel would stamp what is changed with the present, and equal edits should give equal trees.
    void choose_time() {
        for (const char* path : {"/etc", "/var/lib", "/var/log"})
            if (struct guestfs_statns* status = guestfs_library().lstatns(handle(), path)) {
                time_ = std::max<std::int64_t>(time_, status->st_mtime_sec);
                guestfs_library().free_statns(status);
            }
    }

    bool is_there(const std::string& path) const {
        const int there = guestfs_library().is_file(handle(), path.c_str());
        if (there < 0)
            check(-1, "looking at a file");
        if (there == 0 && guestfs_library().exists(handle(), path.c_str()) == 1)
            fail(ErrorKind::unsafe,
                 fmt::format("cannot write {} in the guest: it is no regular file", quote_untrusted(path)));
        return there == 1;
    }

    // Other names of the file keep its content.
    void separate(const std::string& path) const {
        struct guestfs_statns* status = guestfs_library().lstatns(handle(), path.c_str());
        if (status == nullptr)
            check(-1, "looking at a file");
        const bool shared = status->st_nlink > 1;
        guestfs_library().free_statns(status);
        if (!shared)
            return;
        const std::string copy = path + ".vm2oci-new";
        check(guestfs_library().cp_a(handle(), path.c_str(), copy.c_str()), "copying a file");
        check(guestfs_library().mv(handle(), copy.c_str(), path.c_str()), "replacing a file");
        touch_folder(path);
    }

    void set_attributes(const std::string& path, const FileAttributes& attributes,
                        std::optional<unsigned> default_permissions) const {
        if (attributes.uid || attributes.gid) {
            struct guestfs_statns* status = guestfs_library().lstatns(handle(), path.c_str());
            if (status == nullptr)
                check(-1, "looking at a file");
            const auto owner = attributes.uid ? static_cast<int>(*attributes.uid) : static_cast<int>(status->st_uid);
            const auto group = attributes.gid ? static_cast<int>(*attributes.gid) : static_cast<int>(status->st_gid);
            guestfs_library().free_statns(status);
            check(guestfs_library().chown(handle(), owner, group, path.c_str()), "setting an owner");
        }
        if (attributes.permissions || default_permissions)
            check(guestfs_library().chmod(
                      handle(), static_cast<int>(attributes.permissions.value_or(default_permissions.value_or(0644))),
                      path.c_str()),
                  "setting a mode");
    }

    // A kernel takes a file's capabilities away when somebody writes to it; the other ways of writing keep them, as
    // they keep all that nobody spoke of. Empty: it has none.
    std::string capability_of(const std::string& path) const {
        // As text: libguestfs cuts attributes off at a zero byte.
        char* value = guestfs_library().cap_get_file(handle(), path.c_str());
        if (value == nullptr)
            return {};
        std::string capability(value);
        std::free(value);
        return capability;
    }
    void set_capability(const std::string& path, const std::string& capability) const {
        if (!capability.empty())
            check(guestfs_library().cap_set_file(handle(), path.c_str(), capability.c_str()),
                  "setting a file's capabilities");
    }

    // `label`, or that of the folder where it is empty; none where the folder has none.
    void set_label(const std::string& path, const std::string& label) const {
        const std::string parent = parent_of(path);
        std::size_t size = 0;
        char* value = guestfs_library().lgetxattr(handle(), parent.c_str(), kLabel, &size);
        if (value == nullptr)
            return;
        // The value ends with a zero byte, as the kernel stores it.
        const std::string stored = label.empty() ? std::string(value, size) : label + std::string(1, '\0');
        std::free(value);
        check(
            guestfs_library().lsetxattr(handle(), kLabel, stored.data(), static_cast<int>(stored.size()), path.c_str()),
            "setting a label");
    }

    static std::string parent_of(const std::string& path) {
        return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
    }

    // The time of a file that was changed, whose time of access stays.
    void touch(const std::string& path) const {
        constexpr std::int64_t kKeep = -2; // as libguestfs has it for the nanoseconds
        check(guestfs_library().utimens(handle(), path.c_str(), 0, kKeep, time_, 0), "setting a time");
    }
    // Of a name that came or went: its folder changed.
    void touch_folder(const std::string& path) const { touch(parent_of(path)); }

    std::shared_ptr<const ApplianceSession> session_;
    std::filesystem::path scratch_;
    std::int64_t time_;
};

} // namespace

std::vector<ApplianceMount> appliance_mounts(const OpenedGuest& opened, const std::vector<GuestMount>& mounts) {
    std::vector<ApplianceMount> devices;
    for (const GuestMount& mount : mounts) {
        if (opened.backend == "libguestfs") {
            devices.push_back({mount.mount_point, mount.volume});
            continue;
        }
        const auto volume = std::find_if(opened.layout.volumes.begin(), opened.layout.volumes.end(),
                                         [&](const Volume& each) { return each.name == mount.volume; });
        if (volume == opened.layout.volumes.end())
            fail(ErrorKind::unsupported,
                 fmt::format("{} of the guest lies on no volume that is known", quote_untrusted(mount.mount_point)));
        if (!volume->logical_volume.empty())
            devices.push_back({mount.mount_point, "/dev/" + volume->logical_volume});
        else
            devices.push_back({mount.mount_point, appliance_device(opened.layout, *volume)});
    }
    return devices;
}

std::unique_ptr<FileSystemEditor> open_appliance_editor(std::shared_ptr<const ApplianceSession> session,
                                                        const std::vector<ApplianceMount>& mounts, std::int64_t time,
                                                        const OperationContext& operation) {
    return std::make_unique<ApplianceEditor>(std::move(session), mounts, time, operation);
}

} // namespace vm2oci
