// A running appliance of libguestfs, and the disks that it sees.
//
// Each disk is a raw export that we serve on a unix socket, never the container that it came in.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/overlay.hpp"
#include "formats/nbd/server.hpp"
#include "libconvert/guest/disk_key.hpp"
#include "libconvert/guest/guestfs_library.hpp"
#include "libconvert/guest/volumes.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

inline constexpr const char* kLuks = "crypto_LUKS"; // as libblkid and we call its signature

// A folder that nobody else can enter.
class PrivateFolder {
  public:
    PrivateFolder();
    ~PrivateFolder();
    PrivateFolder(const PrivateFolder&) = delete;
    PrivateFolder& operator=(const PrivateFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

// The disks of a machine, one behind another on a device.
struct ApplianceDisks {
    std::shared_ptr<const BlockDevice> device;
    std::shared_ptr<OverlayDevice> changes{}; // unless null, lies over the device: writes and discards go to it
    std::vector<std::uint64_t> sizes{};       // of each disk; empty: it is one
};

// Not thread-safe. All methods throw Error{external} with libguestfs' words, or Error{io} with those of the disk.
class ApplianceSession {
  public:
    // Starts it, which takes seconds with KVM and about half a minute without; says so before.
    ApplianceSession(const ApplianceDisks& disks, const OperationContext& operation);

    guestfs_h* handle() const { return handle_.get(); }
    bool may_write() const { return access_ == Access::writing; }
    // `result` negative: throws what libguestfs says.
    void check(int result, const char* what) const;
    [[noreturn]] void throw_error(const char* what) const;
    // What the disk said, when it was the disk that failed.
    std::optional<std::string> disk_error() const;
    // What libguestfs said last, escaped.
    std::string last_error() const;

    // Opens what is encrypted and has a key among these, LVM on top included; what stays closed is named in the result.
    std::vector<std::string> open_encrypted(const std::vector<DiskKey>& keys) const;
    // Nothing is mounted any more, and all that was written has reached the disk. Throws what the disk said meanwhile.
    void settle() const;
    // What there was before anything encrypted was opened.
    const std::vector<std::string>& first_devices() const { return first_devices_; }
    // Everything that might hold a file system: partitions, logical volumes, whole disks, opened encrypted volumes.
    std::vector<std::string> block_devices() const;

  private:
    enum class Access { read_only, writing };
    void add_disk(const std::shared_ptr<NbdServer>& server);

    struct Closer {
        void operator()(guestfs_h* handle) const { guestfs_library().close(handle); }
    };
    // Destroyed last to first: the appliance, then the export, then the socket's folder. The socket's path must stay
    // under 108 bytes, so it does not go where the scratch files go.
    Access access_;
    PrivateFolder folder_;
    std::vector<std::shared_ptr<NbdServer>> servers_; // one for each disk
    std::unique_ptr<guestfs_h, Closer> handle_;
    std::vector<std::string> first_devices_;
};

// How libguestfs names a partition or a whole disk: "/dev/sdb1". Its devices are named in the order of the disks.
std::string appliance_device(const DiskLayout& layout, const Volume& volume);

// Strings and lists of them as libguestfs returns them: freed as a whole. Null is empty.
std::vector<std::string> take_strings(char** list);
std::string take_string(char* text);

} // namespace vm2oci
