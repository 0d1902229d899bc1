// What inspection learned of a guest: values, printable as JSON and as a page.
//
// Strings that came from the image are raw bytes: to_json() and the page escape them.
#pragma once

#include "libconvert/guest/open_guest.hpp"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct OsInfo {
    std::string type = "unknown"; // "linux", "windows", "unknown"
    std::string distribution;     // os-release's ID, or our own word for it: "debian", "rocky", "alpine"
    std::string family;           // "debian", "redhat", "suse", "alpine", "arch"; empty: not known
    std::string product;          // "Debian GNU/Linux 12 (bookworm)"
    std::string version;          // "12"
    std::string codename;         // "bookworm"
    std::string architecture;     // as in images: "amd64"
    std::string hostname;
    std::string edition; // of Windows: "ServerStandard"
    std::string build;   // of Windows: "17763.1234"
    std::string release; // of Windows: "1809"
};

// `unknown`: perhaps in an initrd that was not read.
enum class DriverPlace { builtin, initrd, disk, missing, unknown };
std::string_view to_string(DriverPlace place);

struct DriverInfo {
    std::string name; // "virtio_blk"
    DriverPlace place = DriverPlace::missing;
};

struct InitrdInfo {
    std::string path;
    std::uint64_t size = 0;
    std::string compression; // of its last part: "zstd", "gzip", "none"
    std::string problem;     // why its content is not known, or not wholly; empty: it is
    std::uint64_t files = 0;
};

struct KernelInfo {
    std::string version; // as uname -r says it
    std::string path;
    std::uint64_t size = 0;
    std::string architecture; // of the image; empty: not known
    bool has_modules = false; // /lib/modules/VERSION is there
    std::optional<InitrdInfo> initrd;
    std::vector<DriverInfo> drivers;       // what a virtio machine needs
    std::vector<DriverInfo> older_drivers; // what machines without virtio need: SATA, IDE, and their network cards
    // Everything that is needed to find the disk on virtio is built in or in the initrd. nullopt: not known.
    std::optional<bool> boots_on_virtio;
};

struct EfiProgram {
    std::string path;              // on the EFI system partition
    std::optional<bool> is_signed; // nullopt: its head was not read
};

struct BootInfo {
    bool bios = false;
    bool uefi = false;
    std::string loader; // "grub", "systemd-boot", "extlinux", …; empty: not known
    std::vector<EfiProgram> efi_programs;
    std::string efi_fallback;                 // "EFI/BOOT/BOOTX64.EFI"; empty: there is none
    std::vector<std::string> command_lines;   // of the entries, the default first
    std::vector<std::string> serial_consoles; // "ttyS0,115200n8"
};

struct NetworkInterface {
    std::string stack; // "netplan", "ifupdown", "NetworkManager", "networkd", "link", "ifcfg", "wicked", "udev"
    std::string file;
    std::string name;        // or pattern; empty: any
    std::string method;      // "dhcp", "static", …; empty: not said
    std::string mac;         // pinned; empty: none
    std::string driver = {}; // of netplan's, networkd's and NetworkManager's matches, blank-separated; empty: any
};

struct CloudInitInfo {
    bool installed = false;
    std::string version;
    bool disabled = false;
    bool network_disabled = false;
    std::vector<std::string> datasources; // pinned; empty: all are tried
    std::string datasource_file;          // what pins them
    std::vector<std::string> instances;   // data of former lives
    bool has_seed = false;
};

struct InstalledAgent {
    std::string name;
    std::string path;
    bool enabled = false; // starts at boot
};

struct LoginUser {
    std::string name;
    std::uint32_t uid = 0;
    bool has_password = false;
    unsigned authorized_keys = 0;
};

struct PackageInfo {
    std::string manager; // "dpkg", "rpm", "apk", "pacman"
    std::optional<std::uint64_t> count;
    std::string problem; // why there is no count
};

struct GuestInfo {
    OsInfo os;
    std::vector<KernelInfo> kernels; // newest first
    BootInfo boot;
    std::string init;         // "systemd", "openrc", "sysvinit"
    std::string init_version; // systemd's, such as "252"; empty: not known
    std::vector<std::string> enabled_services;
    std::vector<NetworkInterface> network;
    CloudInitInfo cloud_init;
    std::vector<InstalledAgent> agents;
    PackageInfo packages;
    std::string machine_id; // "set", "empty", "absent", "uninitialized"
    std::vector<std::string> host_keys;
    std::vector<LoginUser> users;
    std::string selinux; // "enforcing", "permissive", "disabled"; empty: none
    std::vector<std::string> remarks;
};

// Kernels, initrds and boot loaders are the largest files that are looked into. From far away they are not worth their
// price; of the boot loaders only the fallback is read then. Neither is GuestInfo::init_version, which lies aside.
enum class LargeFiles { read, leave };

// Everything that can be told; what a damaged file hides is a remark. Throws only what the disk throws.
GuestInfo inspect_guest(const OpenedGuest& opened, const OperationContext& operation,
                        LargeFiles large_files = LargeFiles::read);

// What a packaged guest is called and how it starts: `os`, `init` and remarks alone. Nothing large is read for it.
GuestInfo identify_guest(const OpenedGuest& opened);

// The operating system alone. `opened` has a guest.
OsInfo inspect_os(const OpenedGuest& opened);
// How it starts alone, without its kernels and initrds. What cannot be read stays empty.
BootInfo inspect_boot(const OpenedGuest& opened);

nlohmann::ordered_json to_json(const GuestInfo& info);
// The disk's division and how the guest mounts it.
nlohmann::ordered_json to_json(const OpenedGuest& opened);

} // namespace vm2oci
