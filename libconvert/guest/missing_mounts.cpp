#include "libconvert/guest/missing_mounts.hpp"

#include "formats/base/error.hpp"
#include "formats/base/sha256.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string_view>
#include <utility>

namespace vm2oci {
namespace {

// Of the kernel or in memory: what lies below is gone with the machine.
constexpr std::string_view kNoFiles[] = {"tmpfs",    "ramfs",      "proc",       "sysfs",       "devpts",    "cgroup",
                                         "cgroup2",  "debugfs",    "tracefs",    "hugetlbfs",   "efivarfs",  "mqueue",
                                         "configfs", "securityfs", "pstore",     "binfmt_misc", "selinuxfs", "usbfs",
                                         "devtmpfs", "bpf",        "rpc_pipefs", "nfsd",        "fusectl",   "usbdevfs",
                                         "autofs",   "subfs",      "rootfs",     "openpromfs",  "cpuset",    "ignore"};

// Of servers, of the host, or made of other folders. A fuse that shows a disk names it: see is_disk_by_fuse().
constexpr std::string_view kForeign[] = {
    "nfs",      "nfs3",         "nfs4",      "cifs",      "smbfs",     "smb3",   "vboxsf",     "vmhgfs",   "9p",
    "virtiofs", "fuse",         "glusterfs", "ceph",      "cephfs",    "lustre", "lustre_tgt", "afs",      "davfs",
    "beegfs",   "beegfs_nodev", "ocfs2",     "gfs2",      "gfs",       "gpfs",   "mmfs",       "ncpfs",    "ncp",
    "prl_fs",   "overlay",      "overlayfs", "aufs",      "unionfs",   "coda",   "pvfs2",      "orangefs", "drvfs",
    "wekafs",   "davfs2",       "sshfs",     "hgfs",      "vmblock",   "efs",    "moosefs",    "cvmfs",    "mergerfs",
    "ecryptfs", "bindfs",       "s3fs",      "rclone",    "curlftpfs", "acfs",   "vxfs",       "panfs",    "quobyte",
    "juicefs",  "fuse3",        "lizardfs",  "prltoolsfs"};

constexpr std::string_view kDiskTags[] = {"UUID", "LABEL", "PARTUUID", "PARTLABEL", "ID"};

template <std::size_t size>
bool is_one_of(std::string_view word, const std::string_view (&words)[size]) {
    return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

bool is_removable(std::string_view device) {
    return device.starts_with("/dev/cdrom") || device.starts_with("/dev/fd") || device.starts_with("/dev/sr") ||
           device.starts_with("/dev/dvd");
}

bool names_a_device(std::string_view device) {
    return device.starts_with("/dev/") || is_one_of(device.substr(0, device.find('=')), kDiskTags);
}

// "host:/path", "[2001:db8::1]:/path", "//server/share", "sshfs#user@host:".
bool names_a_server(std::string_view device) {
    if (names_a_device(device))
        return false;
    return device.starts_with("//") || device.starts_with("\\\\") || device.find(':') != std::string_view::npos ||
           device.find('#') != std::string_view::npos;
}

bool has_option_like(const FstabEntry& entry, std::string_view key) {
    return std::any_of(entry.options.begin(), entry.options.end(), [&](const std::string& option) {
        return option == key || (option.starts_with(key) && option[key.size()] == '=');
    });
}

// A file of the guest, in which the file system lies: it travels with the file, and is not ours to read.
bool is_in_a_file(const FstabEntry& entry) {
    return has_option_like(entry, "loop") || entry.device.starts_with("/dev/loop") ||
           (entry.device.starts_with("/") && !entry.device.starts_with("/dev/"));
}

// "fuse.ntfs-3g" on "/dev/sdb1".
bool is_disk_by_fuse(const FstabEntry& entry) {
    return (entry.type == "fuse" || entry.type.starts_with("fuse.")) && names_a_device(entry.device) &&
           entry.device != "/dev/fuse";
}

bool is_foreign(const FstabEntry& entry) {
    if (has_option(entry, "_netdev") || has_option(entry, "bind") || has_option(entry, "rbind") ||
        has_option_like(entry, "move") || is_in_a_file(entry) || names_a_server(entry.device))
        return true;
    return !is_disk_by_fuse(entry) && (is_one_of(entry.type, kForeign) || entry.type.starts_with("fuse.") ||
                                       entry.type.starts_with("fuse-") || entry.type.starts_with("overlay"));
}

constexpr std::string_view kCoreOsUsr = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"; // and Flatcar: USR-A, USR-B

// UAPI Group Specifications, Discoverable Partitions; those of /usr for each architecture.
constexpr std::string_view kUsrTypes[] = {
    "75250d76-8cc6-458e-bd66-bd47cc81a812", // x86
    "8484680c-9521-48c6-9c11-b0720656f69e", // x86-64
    "7d0359a3-02b3-4f0a-865c-654403e70625", // arm
    "b0e01050-ee5f-4390-949a-9101b17104e9", // arm64
    "4301d2a6-4e3b-4b2a-bb94-9e0b2c4225ea", // ia64
    "e611c702-575c-4cbe-9a46-434fa0bf7e3f", // loongarch64
    "7d14fec5-cc71-415d-9d6c-06bf0b3c3eaf", // ppc
    "2c9739e2-f068-46b3-9fd0-01c5a9afbcca", // ppc64
    "15bb03af-77e7-4d4a-b12b-c0d084f7491c", // ppc64-le
    "b933fb22-5c3f-4f91-af90-e2bb0fa50702", // riscv32
    "beaec34b-8442-439b-a40b-984381ed097d", // riscv64
    "cd0f869b-d0fb-4ca0-b141-9ea87cc78d66", // s390
    "8a4f5770-50aa-4ed3-874a-99b710db6fea", // s390x
    kCoreOsUsr,
};

constexpr std::pair<std::string_view, std::string_view> kOtherTypes[] = {
    {"933ac7e1-2eb4-4f13-b844-0e14e2aef915", "/home"},
    {"3b8f8425-20e0-4f3b-907f-1a25a76f98e8", "/srv"},
    {"4d21b016-b534-45c2-a9fb-5c16e091fd2d", "/var"},
    {"7ec6f557-3bc5-4aca-b293-16ef5df639d1", "/var/tmp"},
};

std::string_view mount_point_of_type(std::string_view type) {
    if (is_one_of(type, kUsrTypes))
        return "/usr";
    const auto* found = std::find_if(std::begin(kOtherTypes), std::end(kOtherTypes),
                                     [&](const auto& row) { return row.first == type; });
    return found == std::end(kOtherTypes) ? std::string_view() : found->second;
}

// How much the boot loader of ChromeOS' kind wants a partition: it takes the highest priority of those that were seen
// to start, or have tries left; 0: it does not start (coreos/grub, gptprio; the attributes of UEFI's bits 48 to 63).
unsigned start_priority(std::uint64_t attributes) {
    const unsigned priority = attributes >> 48U & 0xfU;
    const unsigned tries = attributes >> 52U & 0xfU;
    const bool successful = (attributes >> 56U & 1U) != 0;
    return successful || tries > 0 ? priority : 0;
}

constexpr std::uint64_t kNoAuto = std::uint64_t{1} << 63U;

std::vector<std::byte> bytes_of_hexadecimal(std::string_view text) {
    std::string digits(text);
    std::erase_if(digits, [](unsigned char c) { return std::isxdigit(c) == 0; });
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        bytes.push_back(static_cast<std::byte>(std::stoul(digits.substr(i, 2), nullptr, 16)));
    return bytes;
}

// A /var is bound to one machine: its UUID is the type's, hashed with the machine's id as the key (HMAC-SHA-256), cut
// and marked as a version 4 (systemd: sd_id128_get_machine_app_specific(), Discoverable Partitions).
bool is_of_machine(const Partition& partition, const Guest& guest) {
    constexpr std::size_t kBlock = 64;
    const std::vector<std::byte> key = bytes_of_hexadecimal(try_read_text(guest, "/etc/machine-id").value_or(""));
    if (key.size() != 16)
        return false;
    std::vector<std::byte> inner(kBlock, std::byte{0x36});
    std::vector<std::byte> outer(kBlock, std::byte{0x5c});
    for (std::size_t i = 0; i < key.size(); ++i) {
        inner[i] ^= key[i];
        outer[i] ^= key[i];
    }
    const std::vector<std::byte> type = bytes_of_hexadecimal(partition.type);
    inner.insert(inner.end(), type.begin(), type.end());
    const Sha256Sum first = sha256(inner);
    outer.insert(outer.end(), first.begin(), first.end());
    const Sha256Sum hash = sha256(outer);
    std::vector<std::byte> id(hash.begin(), hash.begin() + 16);
    id[6] = (id[6] & std::byte{0x0f}) | std::byte{0x40};
    id[8] = (id[8] & std::byte{0x3f}) | std::byte{0x80};
    return bytes_of_hexadecimal(partition.uuid) == id;
}

bool is_empty_or_absent(const Guest& guest, std::string_view folder) {
    try {
        const auto names = guest.list(folder);
        return !names || names->empty();
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        return false;
    }
}

} // namespace

EntryKind kind_of_entry(const FstabEntry& entry) {
    const std::string place = normalise_path(entry.mount_point);
    if (!entry.mount_point.starts_with("/") || place == "/" || entry.type == "swap" || is_one_of(entry.type, kNoFiles))
        return EntryKind::none;
    if (is_foreign(entry))
        // A folder on itself; the tag of a share may well be called like its place ("home /home virtiofs").
        return entry.device.starts_with('/') && normalise_path(entry.device) == place ? EntryKind::none
                                                                                      : EntryKind::elsewhere;
    return is_removable(entry.device) ? EntryKind::none : EntryKind::disk;
}

MountNeed need_of_entry(const FstabEntry& entry) {
    return has_option(entry, "nofail") || has_option(entry, "noauto") || is_foreign(entry) ? MountNeed::optional
                                                                                           : MountNeed::required;
}

std::string bound_folder(const FstabEntry& entry) {
    const bool is_bound = has_option(entry, "bind") || has_option(entry, "rbind");
    return is_bound && !has_option(entry, "noauto") && entry.device.starts_with('/') ? entry.device : std::string();
}

std::vector<TypedMount> find_typed_mounts(const DiskLayout& layout, const std::vector<FstabEntry>& fstab,
                                          const Guest& guest) {
    std::vector<TypedMount> mounts;
    for (std::size_t i = 0; i < layout.volumes.size(); ++i) {
        const Volume& volume = layout.volumes[i];
        // systemd looks at the root's own disk, no other (systemd-gpt-auto-generator(8)).
        const PartitionTable& table =
            layout.root_disk == 0 ? layout.table : layout.further_tables[layout.root_disk - 1];
        if (volume.disk != layout.root_disk || table.kind != TableKind::gpt || !volume.partition)
            continue;
        const Partition& partition = *partition_of(layout, volume);
        const std::string place(mount_point_of_type(partition.type));
        const bool is_named = std::any_of(fstab.begin(), fstab.end(), [&](const FstabEntry& entry) {
            return normalise_path(entry.mount_point) == place;
        });
        if (place.empty() || (partition.attributes & kNoAuto) != 0 || is_named || !is_empty_or_absent(guest, place))
            continue;
        const auto same = std::find_if(mounts.begin(), mounts.end(),
                                       [&](const TypedMount& mount) { return mount.mount_point == place; });
        const std::optional<std::size_t> its_volume = same == mounts.end() ? std::nullopt : same->volume;
        if (its_volume && partition.type == kCoreOsUsr) {
            const Partition& other = *partition_of(layout, layout.volumes[*its_volume]);
            const unsigned theirs = start_priority(other.attributes);
            const unsigned ours = start_priority(partition.attributes);
            if (other.type == kCoreOsUsr && theirs != ours) {
                if (ours > theirs)
                    *same = {place, i, volume.name, {}};
                continue;
            }
        }
        if (same != mounts.end()) {
            same->volume = std::nullopt;
            same->device += ", " + volume.name;
            same->reason = "more than one partition is of its type";
        } else if (place == "/var" && !is_of_machine(partition, guest)) {
            mounts.push_back({place, std::nullopt, volume.name,
                              "systemd mounts it by its type only on the machine whose id it was made for"});
        } else {
            mounts.push_back({place, i, volume.name, {}});
        }
    }
    std::sort(mounts.begin(), mounts.end(),
              [](const TypedMount& a, const TypedMount& b) { return a.mount_point < b.mount_point; });
    return mounts;
}

} // namespace vm2oci
