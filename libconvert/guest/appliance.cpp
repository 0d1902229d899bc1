#include "libconvert/guest/appliance.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/guest/appliance_session.hpp"
#include "libconvert/guest/appliance_windows.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <fmt/format.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::size_t kReadSize = 2ull * 1024 * 1024; // a message of the appliance's protocol holds 4 MiB
constexpr std::size_t kNamesPerCall = 500;

// libguestfs has functions of the same names.
using RawStatus = struct guestfs_statns;
using RawStatusList = struct guestfs_statns_list;
using RawAttributes = struct guestfs_xattr_list;
using RawUsage = struct guestfs_statvfs;

FileType type_of(std::int64_t mode) {
    const std::optional<FileType> type = file_type_of_mode(static_cast<std::uint32_t>(mode));
    if (!type)
        fail(ErrorKind::corrupt, "a file of the guest is of no known type");
    return *type;
}

FileStatus convert_status(const RawStatus& raw) {
    FileStatus status;
    status.type = type_of(raw.st_mode);
    status.permissions = static_cast<std::uint32_t>(raw.st_mode) & 07777u;
    status.uid = static_cast<std::uint32_t>(raw.st_uid);
    status.gid = static_cast<std::uint32_t>(raw.st_gid);
    status.link_count = static_cast<std::uint32_t>(raw.st_nlink);
    status.modified = {raw.st_mtime_sec, static_cast<std::uint32_t>(raw.st_mtime_nsec)};
    if (status.type == FileType::regular || status.type == FileType::symlink)
        status.size = static_cast<std::uint64_t>(raw.st_size);
    if (status.type == FileType::character_device || status.type == FileType::block_device) {
        status.device_major = gnu_dev_major(static_cast<dev_t>(raw.st_rdev));
        status.device_minor = gnu_dev_minor(static_cast<dev_t>(raw.st_rdev));
    }
    return status;
}

// One mounted file system in the appliance. Nodes are numbers for the paths under which they were found.
class ApplianceFileSystem final : public FileSystem {
  public:
    ApplianceFileSystem(std::shared_ptr<const ApplianceSession> appliance, std::string mount_point)
        : appliance_(std::move(appliance)) {
        RawStatus* raw = guestfs_library().lstatns(guest(), mount_point.c_str());
        if (raw == nullptr)
            appliance_->throw_error("reading the guest");
        remember(*raw, std::move(mount_point));
        guestfs_library().free_statns(raw);
    }

    NodeId root() const override { return NodeId{0}; }
    FileStatus status(NodeId node) const override { return find(node).status; }

    std::vector<DirectoryEntry> list(NodeId folder) const override {
        const std::string path = find(folder).path;
        char** raw = guestfs_library().ls(guest(), path.c_str());
        if (raw == nullptr)
            appliance_->throw_error("listing a folder of the guest");
        std::vector<std::string> names = take_strings(raw);
        std::sort(names.begin(), names.end());
        std::vector<DirectoryEntry> entries;
        for (std::size_t first = 0; first < names.size(); first += kNamesPerCall)
            list_some(path, names, first, std::min(names.size(), first + kNamesPerCall), entries);
        return entries;
    }

    std::optional<NodeId> lookup(NodeId folder, std::string_view name) const override {
        const std::string path = join(find(folder).path, std::string(name));
        RawStatus* raw = guestfs_library().lstatns(guest(), path.c_str());
        if (raw == nullptr) {
            const int code = guestfs_library().last_errno(guest());
            if (code == ENOENT || code == ENOTDIR)
                return std::nullopt;
            appliance_->throw_error("reading the guest");
        }
        const NodeId node = remember(*raw, path);
        guestfs_library().free_statns(raw);
        return node;
    }

    std::string read_link(NodeId symlink) const override {
        char* target = guestfs_library().readlink(guest(), find(symlink).path.c_str());
        if (target == nullptr)
            appliance_->throw_error("reading a symlink of the guest");
        return take_string(target);
    }

    std::vector<ExtendedAttribute> attributes(NodeId node) const override {
        RawAttributes* raw = guestfs_library().lgetxattrs(guest(), find(node).path.c_str());
        if (raw == nullptr) {
            if (guestfs_library().last_errno(guest()) == EOPNOTSUPP) // vfat has none
                return {};
            appliance_->throw_error("reading extended attributes of the guest");
        }
        std::vector<ExtendedAttribute> attributes;
        for (std::uint32_t i = 0; i < raw->len; ++i)
            attributes.push_back({raw->val[i].attrname, std::string(raw->val[i].attrval, raw->val[i].attrval_len)});
        guestfs_library().free_xattr_list(raw);
        std::sort(attributes.begin(), attributes.end());
        return attributes;
    }

    void read_at(NodeId file, std::uint64_t offset, std::span<std::byte> buffer) const override {
        const Node& found = find(file);
        if (found.status.type != FileType::regular)
            fail(ErrorKind::corrupt, "this is no regular file");
        while (!buffer.empty()) {
            std::size_t got = 0;
            char* bytes = guestfs_library().pread(guest(), found.path.c_str(),
                                                  static_cast<int>(std::min(buffer.size(), kReadSize)),
                                                  static_cast<std::int64_t>(offset), &got);
            if (bytes == nullptr)
                appliance_->throw_error("reading a file of the guest");
            got = std::min(got, buffer.size());
            std::copy_n(reinterpret_cast<const std::byte*>(bytes), got, buffer.begin());
            std::free(bytes);
            if (got == 0)
                fail(ErrorKind::corrupt, "a read beyond the end of a file of the guest");
            buffer = buffer.subspan(got);
            offset += got;
        }
    }

    FileSystemUsage usage() const override {
        RawUsage* raw = guestfs_library().statvfs(guest(), nodes_.front().path.c_str());
        if (raw == nullptr)
            appliance_->throw_error("asking for free space");
        const auto size = [](std::int64_t value) {
            return static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
        };
        const FileSystemUsage usage{size(raw->blocks) * size(raw->frsize), size(raw->bfree) * size(raw->frsize),
                                    size(raw->files), size(raw->ffree)};
        guestfs_library().free_statvfs(raw);
        return usage;
    }

  private:
    struct Node {
        std::string path;
        FileStatus status;
    };

    guestfs_h* guest() const { return appliance_->handle(); }

    static std::string join(const std::string& folder, const std::string& name) {
        return (folder == "/" ? "" : folder) + "/" + name;
    }

    const Node& find(NodeId node) const { return nodes_.at(static_cast<std::size_t>(node)); }

    NodeId remember(const RawStatus& raw, std::string path) const {
        const auto [known, added] = by_inode_.emplace(std::pair(raw.st_dev, raw.st_ino), nodes_.size());
        if (added) {
            if (nodes_.size() >= kMaxApplianceNodes)
                fail(ErrorKind::limit, "the guest has more files than can be read through libguestfs");
            nodes_.push_back({std::move(path), convert_status(raw)});
        }
        return NodeId{known->second};
    }

    void list_some(const std::string& path, const std::vector<std::string>& names, std::size_t begin, std::size_t end,
                   std::vector<DirectoryEntry>& entries) const {
        std::vector<char*> pointers;
        for (std::size_t i = begin; i < end; ++i)
            pointers.push_back(const_cast<char*>(names[i].c_str()));
        pointers.push_back(nullptr);
        RawStatusList* raw = guestfs_library().lstatnslist(guest(), path.c_str(), pointers.data());
        if (raw == nullptr)
            appliance_->throw_error("listing a folder of the guest");
        const bool complete = raw->len == end - begin;
        for (std::size_t i = begin; complete && i < end; ++i)
            if (is_valid_file_name(names[i]) && raw->val[i - begin].st_ino >= 0)
                entries.push_back({names[i], remember(raw->val[i - begin], join(path, names[i]))});
        guestfs_library().free_statns_list(raw);
        if (!complete)
            fail(ErrorKind::external, "libguestfs lists a folder incompletely");
    }

    std::shared_ptr<const ApplianceSession> appliance_;
    mutable std::vector<Node> nodes_;
    mutable std::map<std::pair<std::int64_t, std::int64_t>, std::uint64_t> by_inode_;
};

// The operating system that libguestfs finds; empty: none.
std::string find_root(const ApplianceSession& appliance, const RootChoice& choose, ApplianceGuest& result) {
    char** raw_roots = guestfs_library().inspect_os(appliance.handle());
    if (raw_roots == nullptr)
        appliance.throw_error("looking for an operating system");
    const std::vector<std::string> roots = take_strings(raw_roots);
    if (roots.empty())
        return {};
    if (const std::optional<std::size_t> chosen = choose(roots))
        return roots.at(*chosen);
    if (roots.size() > 1)
        result.remarks.push_back(
            fmt::format("libguestfs finds {} operating systems; the first, on {}, was taken; which one it is can "
                        "be said",
                        roots.size(), escape_untrusted(roots.front())));
    return roots.front();
}

// Mount point → device, in the order in which they must be mounted.
std::map<std::string, std::string> find_mounts(const ApplianceSession& appliance, const std::string& root) {
    char** raw = guestfs_library().inspect_get_mountpoints(appliance.handle(), root.c_str());
    if (raw == nullptr)
        appliance.throw_error("looking for mount points");
    const std::vector<std::string> pairs = take_strings(raw);
    std::map<std::string, std::string> mounts;
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
        mounts[pairs[i]] = pairs[i + 1];
    // Where fstab was found is the root, whatever that names: after a move to LUKS it may still be the old device.
    mounts["/"] = root;
    return mounts;
}

// False: it cannot be mounted.
bool mount(const std::shared_ptr<const ApplianceSession>& appliance, const std::string& mount_point,
           const std::string& device, ApplianceGuest& result) {
    const GuestfsLibrary& library = guestfs_library();
    guestfs_h* handle = appliance->handle();
    if (library.mount_ro(handle, device.c_str(), mount_point.c_str()) < 0) {
        result.remarks.push_back(fmt::format("{} cannot be mounted: {}", mount_point, appliance->last_error()));
        return false;
    }
    GuestMount mount;
    mount.mount_point = mount_point;
    mount.volume = device;
    mount.type = take_string(library.vfs_type(handle, device.c_str()));
    mount.uuid = take_string(library.vfs_uuid(handle, device.c_str()));
    mount.label = take_string(library.vfs_label(handle, device.c_str()));
    auto file_system = std::make_shared<const ApplianceFileSystem>(appliance, mount_point);
    mount.usage = file_system->usage();
    result.file_systems.push_back({std::move(mount), std::move(file_system)});
    return true;
}

} // namespace

int configure_appliance(void* handle) {
    auto* guestfs = static_cast<guestfs_h*>(handle);
    guestfs_library().set_error_handler(guestfs, nullptr, nullptr);
    if (guestfs_library().set_backend(guestfs, "direct") < 0)
        return -1;
    if (std::getenv("LIBGUESTFS_BACKEND_SETTINGS") != nullptr)
        return 0;
    char setting[] = "force_tcg";
    char* settings[] = {setting, nullptr};
    return guestfs_library().set_backend_settings(guestfs, settings);
}

ApplianceGuest open_appliance(const std::shared_ptr<const BlockDevice>& disk, const GuestAccess& access,
                              const RootChoice& choose, const OperationContext& operation) {
    ApplianceGuest result;
    if (access.appliance) {
        result.session = access.appliance;
        access.appliance->settle();
    } else {
        result.session = std::make_shared<const ApplianceSession>(
            ApplianceDisks{disk, access.changes, access.disk_sizes}, operation);
        result.remarks = result.session->open_encrypted(access.keys);
        operation.progress->note("libguestfs' appliance runs; it looks for the operating system");
    }
    const std::shared_ptr<const ApplianceSession>& appliance = result.session;
    const std::string root = find_root(*appliance, choose, result);
    if (root.empty())
        return result;
    for (const auto& [mount_point, device] : find_mounts(*appliance, root)) {
        operation.check_cancelled();
        if (!mount(appliance, mount_point, device, result) && mount_point == "/")
            return result;
    }
    if (take_string(guestfs_library().inspect_get_type(appliance->handle(), root.c_str())) == "windows")
        result.windows = read_windows(*appliance, root, result.remarks);
    return result;
}

} // namespace vm2oci
