#include "libconvert/guest/appliance_session.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/slice.hpp"
#include "libconvert/guest/appliance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <set>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxDisks = 24; // of libguestfs' bus 26, less its own

// The range of the disks that is one of them.
NbdExport export_disk(const ApplianceDisks& disks, std::uint64_t begin, std::uint64_t size) {
    NbdExport exported;
    if (!disks.changes) {
        exported.device = std::make_shared<SliceDevice>(disks.device, begin, size);
        return exported;
    }
    const std::shared_ptr<OverlayDevice> overlay = disks.changes;
    exported.device = std::make_shared<SliceDevice>(overlay, begin, size);
    // A server lets nobody write beyond the size of its device.
    exported.write = [overlay, begin](std::uint64_t offset, std::span<const std::byte> bytes) {
        overlay->write_at(begin + offset, bytes);
    };
    exported.discard = [overlay, begin](std::uint64_t offset, std::uint64_t length) {
        overlay->discard(begin + offset, length);
    };
    return exported;
}

} // namespace

std::vector<std::string> take_strings(char** list) {
    std::vector<std::string> strings;
    for (char** item = list; item != nullptr && *item != nullptr; ++item) {
        strings.emplace_back(*item);
        std::free(*item);
    }
    std::free(list);
    return strings;
}

std::string take_string(char* text) {
    std::string taken = text == nullptr ? "" : text;
    std::free(text);
    return taken;
}

PrivateFolder::PrivateFolder() {
    std::string pattern = "/tmp/vm2oci-nbd-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
        fail_errno("cannot make a folder for a socket", errno);
    path_ = pattern;
}

PrivateFolder::~PrivateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

ApplianceSession::ApplianceSession(const ApplianceDisks& disks, const OperationContext& operation)
    : access_(disks.changes ? Access::writing : Access::read_only) {
    std::vector<std::uint64_t> sizes = disks.sizes;
    if (sizes.empty())
        sizes = {disks.device->size()};
    if (sizes.size() > kMaxDisks)
        fail(ErrorKind::limit, fmt::format("libguestfs takes at most {} disks", kMaxDisks));
    const GuestfsLibrary& library = guestfs_library();
    handle_.reset(library.create_flags(0));
    if (!handle_)
        fail(ErrorKind::external, "libguestfs cannot be started");
    check(configure_appliance(handle()), "configuring libguestfs");
    library.set_identifier(handle(), "vm2oci");
    std::uint64_t begin = 0;
    for (const std::uint64_t size : sizes) {
        add_disk(std::make_shared<NbdServer>(export_disk(disks, begin, size)));
        begin += size;
    }
    operation.progress->note("starting libguestfs' appliance; without KVM this takes about half a minute");
    check(library.launch(handle()), "starting libguestfs' appliance");
    first_devices_ = block_devices();
}

void ApplianceSession::add_disk(const std::shared_ptr<NbdServer>& server) {
    const std::filesystem::path socket = folder_.path() / fmt::format("disk{}", servers_.size() + 1);
    server->listen(socket);
    servers_.push_back(server);
    const std::string address = "unix:" + socket.string();
    char* addresses[] = {const_cast<char*>(address.c_str()), nullptr};
    struct guestfs_add_drive_opts_argv drive {};
    drive.bitmask = GUESTFS_ADD_DRIVE_OPTS_FORMAT_BITMASK | GUESTFS_ADD_DRIVE_OPTS_PROTOCOL_BITMASK |
                    GUESTFS_ADD_DRIVE_OPTS_SERVER_BITMASK;
    drive.format = "raw";
    drive.protocol = "nbd";
    drive.server = addresses;
    if (access_ == Access::read_only) {
        drive.bitmask |= GUESTFS_ADD_DRIVE_OPTS_READONLY_BITMASK;
        drive.readonly = 1;
    } else {
        drive.bitmask |= GUESTFS_ADD_DRIVE_OPTS_DISCARD_BITMASK;
        drive.discard = "enable";
    }
    check(guestfs_library().add_drive_opts_argv(handle(), "", &drive), "handing the disk to libguestfs");
}

std::optional<std::string> ApplianceSession::disk_error() const {
    for (const std::shared_ptr<NbdServer>& server : servers_)
        if (std::optional<std::string> error = server->first_error())
            return error;
    return std::nullopt;
}

std::string appliance_device(const DiskLayout& layout, const Volume& volume) {
    std::string name = fmt::format("/dev/sd{}", static_cast<char>('a' + volume.disk));
    if (const Partition* partition = partition_of(layout, volume))
        name += std::to_string(partition->number);
    return name;
}

void ApplianceSession::settle() const {
    check(guestfs_library().umount_all(handle()), "unmounting");
    check(guestfs_library().sync(handle()), "writing to the disk");
    if (const std::optional<std::string> error = disk_error())
        fail(ErrorKind::io, "the appliance could not read or write the disk: " + *error);
}

void ApplianceSession::check(int result, const char* what) const {
    if (result < 0)
        throw_error(what);
}

void ApplianceSession::throw_error(const char* what) const {
    if (const std::optional<std::string> said = disk_error())
        fail(ErrorKind::io, fmt::format("{}: {}", what, *said));
    fail(ErrorKind::external, fmt::format("{}: {}", what, last_error()));
}

std::string ApplianceSession::last_error() const {
    const char* message = guestfs_library().last_error(handle());
    return escape_untrusted(message == nullptr ? "unknown error" : message);
}

std::vector<std::string> ApplianceSession::block_devices() const {
    const GuestfsLibrary& library = guestfs_library();
    std::vector<std::string> devices;
    for (char** list : {library.list_devices(handle()), library.list_partitions(handle()), library.lvs(handle()),
                        library.list_dm_devices(handle())})
        for (std::string& device : take_strings(list))
            devices.push_back(std::move(device));
    return devices;
}

std::vector<std::string> ApplianceSession::open_encrypted(const std::vector<DiskKey>& keys) const {
    const GuestfsLibrary& library = guestfs_library();
    std::vector<std::string> closed;
    std::set<std::string> seen;
    // What is opened may hold a volume group, and that another encrypted volume; each device is tried once.
    for (bool opened_one = true; opened_one;) {
        opened_one = false;
        for (const std::string& device : block_devices()) {
            if (!seen.insert(device).second || take_string(library.vfs_type(handle(), device.c_str())) != kLuks)
                continue;
            const std::string uuid = take_string(library.vfs_uuid(handle(), device.c_str()));
            struct guestfs_cryptsetup_open_argv options {};
            options.bitmask = GUESTFS_CRYPTSETUP_OPEN_READONLY_BITMASK;
            options.readonly = access_ == Access::read_only ? 1 : 0;
            const auto opens = [&](std::string_view secret) {
                // libguestfs takes a key as a C string.
                return secret.find('\0') == std::string_view::npos &&
                       library.cryptsetup_open_argv(handle(), device.c_str(), std::string(secret).c_str(),
                                                    ("luks-" + uuid).c_str(), &options) == 0;
            };
            const bool opened = std::any_of(keys.begin(), keys.end(), [&](const DiskKey& key) {
                const std::vector<std::string_view> secrets = key.secrets();
                return key.fits(device, uuid) && std::any_of(secrets.begin(), secrets.end(), opens);
            });
            if (opened) {
                check(library.lvm_scan(handle(), 1), "looking for logical volumes");
                opened_one = true;
            } else {
                closed.push_back(fmt::format("{} (LUKS {}) stays closed: no key that was given opens it",
                                             escape_untrusted(device), escape_untrusted(uuid)));
            }
        }
    }
    return closed;
}

} // namespace vm2oci
