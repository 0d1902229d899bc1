// What the user wants changed in a guest, as values: files of the user's are read before planning begins.
#pragma once

#include "formats/tree/entry.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

enum class SeedPlace {
    image, // /var/lib/cloud/seed/nocloud in the guest
    disk,  // a second disk labelled cidata, which the guest only has to look for
};

struct CloudInitRequest {
    std::optional<std::string> user_data;
    std::optional<std::string> meta_data;
    std::optional<std::string> network_config;
    std::optional<std::string> vendor_data;
    SeedPlace place = SeedPlace::image;

    bool has_files() const { return user_data || meta_data || network_config || vendor_data; }
};

struct SshKeyRequest {
    std::string keys; // lines of authorized_keys
    std::string user; // empty: whom cloud-init makes, else root
};

struct CopyRequest {
    std::filesystem::path host_file; // a regular file
    std::uint64_t size = 0;
    std::string destination; // absolute, the file's own name included
    std::uint32_t permissions = 0644;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

enum class InitSystem { systemd, openrc, sysv, unknown };

// One file of an agent as it will lie in the guest.
struct AgentFile {
    std::string path; // absolute
    FileType type = FileType::regular;
    std::string content; // of regular files; the target of symbolic links
    std::uint32_t permissions = 0644;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::optional<InitSystem> only_for = std::nullopt; // guests with this init; none: all
};

// An agent, unpacked: what `--agent` makes of a package, a folder or a program with its unit.
struct AgentRequest {
    std::string name;                      // "qemu-ga", "collector.deb"
    std::string distribution;              // that it was built for, "debian 12"; empty: any that its programs run on
    std::vector<AgentFile> files;          // folders before what they hold
    std::vector<AgentFile> libraries;      // that its programs need, for a guest that lacks them; each after its own
    std::vector<std::string> scripts_left; // names of maintainer scripts that were not run
};

enum class NetworkFix {
    dhcp, // every wired interface asks by DHCP, whatever its name and MAC
    pin,  // the old names are given to the interfaces in the order of their slots, settings stay
    keep, // only what binds to a MAC is let go
};

struct FixRequest {
    std::vector<std::string> names; // of fix_names(); in its order
    NetworkFix network = NetworkFix::dhcp;
};

struct EditRequest {
    CloudInitRequest cloud_init;
    std::vector<SshKeyRequest> ssh_keys;
    std::string hostname;
    std::vector<AgentRequest> agents;
    std::vector<CopyRequest> copies;
    std::vector<std::string> sysprep; // of sysprep_operations()
    FixRequest fixes;

    bool empty() const {
        return !cloud_init.has_files() && ssh_keys.empty() && hostname.empty() && agents.empty() && copies.empty() &&
               sysprep.empty() && fixes.names.empty();
    }
};

// A partition of the guest's disks, for what names devices.
struct DiskVolume {
    unsigned number = 0;          // as in /dev/sdaN; 0: the file system lies on the whole disk
    std::string type;             // "ext4", "swap", "crypto_LUKS", "LVM2_member"
    std::string uuid;             // of what lies in it; empty: none
    std::string partition_uuid{}; // PARTUUID, as the kernel and udev write it; empty: not in a partition
    std::size_t disk = 0;         // as place_of_disk() counts: 0 is the one with the root
};

} // namespace vm2oci
