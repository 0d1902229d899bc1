// What an inspection found, as values. Strings from disks and images are escaped: they can be printed as they are.
#pragma once

#include <vm2oci/error.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::v0 {

// Blocks of a container, counted by what is stored of them.
struct BlockCounts {
    std::uint64_t data = 0;
    std::uint64_t compressed = 0;
    std::uint64_t zero = 0;
    std::uint64_t unallocated = 0;
};

struct Qcow2Snapshot {
    std::string id;
    std::string name;
    std::uint64_t disk_size = 0;
    std::uint64_t vm_state_size = 0;
    std::int64_t created = 0; // seconds since the epoch
};

struct Qcow2Details {
    std::uint64_t version = 0;
    std::uint64_t cluster_size = 0;
    std::uint64_t refcount_bits = 0;
    std::string compression;
    std::vector<std::string> features;
    BlockCounts clusters;
    std::vector<Qcow2Snapshot> snapshots;
    std::optional<std::string> backing_file; // names that stand in it; they are not opened
    std::optional<std::string> data_file;
};

struct ParentDisk {
    std::optional<std::string> content_id; // of a VMDK's
    std::optional<std::string> disk_id;    // of a VHD's
    std::optional<std::string> data_id;    // of a VHDX's
    std::string name;
};

struct VmdkExtent {
    std::string type;
    std::string name;
    std::uint64_t size = 0;
};

struct VmdkDetails {
    std::string create_type;
    std::uint64_t version = 0;
    std::uint64_t grain_size = 0;
    bool compressed = false;
    std::vector<std::string> features;
    std::string content_id;
    BlockCounts grains;
    std::uint64_t extent_count = 0;
    std::vector<VmdkExtent> extents;
    std::optional<ParentDisk> parent;
};

struct VhdDetails {
    std::string type;
    std::uint64_t block_size = 0;
    std::string creator;
    bool size_by_geometry = false;
    std::string disk_id;
    BlockCounts blocks;
    std::optional<ParentDisk> parent;
};

struct VhdxDetails {
    std::string type;
    std::uint64_t block_size = 0;
    std::uint64_t logical_sector_size = 0;
    std::uint64_t physical_sector_size = 0;
    std::string creator;
    std::string disk_id;
    std::string data_id;
    std::uint64_t replayed_log_entries = 0;
    BlockCounts blocks;
    std::optional<ParentDisk> parent;
};

struct VdiDetails {
    std::string type;
    std::uint64_t block_size = 0;
    std::string comment;
    BlockCounts blocks;
};

struct Packing {
    std::string format; // "gzip", "xz"
    std::uint64_t stored_size = 0;
    std::string read; // how it was read
};

struct DiskVerdict {
    bool safe = false;                  // it can be converted
    std::optional<std::string> refusal; // why not
    std::optional<Hint> hint;           // what would have it read all the same
};

struct InspectedDisk {
    std::optional<std::string> name;           // where there are several
    std::optional<std::string> path;           // in an image
    std::optional<std::string> format;         // none: not known; a name that is no DiskFormat: recognised and not read
    std::optional<std::uint64_t> virtual_size; // none: not known
    std::optional<std::uint64_t> allocated_size;
    std::uint64_t file_size = 0;
    // Of its format.
    std::optional<Qcow2Details> qcow2;
    std::optional<VmdkDetails> vmdk;
    std::optional<VhdDetails> vhd;
    std::optional<VhdxDetails> vhdx;
    std::optional<VdiDetails> vdi;
    std::optional<Packing> compression; // of the whole file
    DiskVerdict verdict;
};

struct MachineController {
    std::string kind;
    std::optional<std::string> model;
};

struct MachineDisk {
    std::string id;
    std::optional<std::string> file;
    std::optional<std::uint64_t> controller; // in Machine::controllers
    std::optional<std::uint64_t> address;
    std::optional<std::uint64_t> capacity;
};

struct MachineNic {
    std::optional<std::string> model;
    std::optional<std::string> network;
    std::optional<std::string> mac;
};

// The hardware that a package describes.
struct Machine {
    std::string source; // what describes it
    std::optional<std::string> name;
    std::optional<std::string> annotation;
    std::optional<std::string> os_type;
    std::optional<std::uint64_t> cpus;
    std::optional<std::uint64_t> cores_per_socket;
    std::optional<std::uint64_t> memory;
    std::optional<std::string> firmware;
    std::optional<bool> secure_boot;
    std::vector<MachineController> controllers;
    std::vector<MachineDisk> disks;
    std::vector<MachineNic> nics;
    std::vector<std::string> remarks;
};

struct ImageConfig {
    std::string digest;
    std::string os;
    std::string architecture;
    std::string created;
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::vector<std::string> environment;
    std::map<std::string, std::string> labels;
};

struct ImageLayer {
    std::string digest;
    std::string media_type;
    std::uint64_t size = 0;
    std::optional<std::string> diff_id;
};

struct Referrer {
    std::string digest;
    std::string media_type;
    std::string artifact_type;
    std::uint64_t size = 0;
};

struct InspectedImage {
    std::string digest;
    std::string media_type;
    std::uint64_t size = 0;
    std::map<std::string, std::string> annotations;
    std::optional<std::string> index; // the digest of the index that names it
    std::optional<ImageConfig> config;
    std::vector<ImageLayer> layers;
    std::string content; // whether it was held against its digests: "verified", "not-verified"
    std::vector<Referrer> referrers;
};

struct InspectedPartition {
    std::uint64_t number = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::string role; // "primary", "extended", "logical"
    std::string type;
    std::optional<std::string> type_name;
    std::optional<std::string> name;
    std::string uuid;
    bool active = false;
};

struct InspectedTable {
    std::string kind; // "gpt", "mbr", "none"
    std::optional<std::string> id;
    std::uint64_t sector_size = 0;
    std::vector<InspectedPartition> partitions;
};

struct VolumeContent {
    std::string kind;
    std::string type; // "ext4", "LVM2_member"
    std::optional<std::string> version;
    std::optional<std::string> uuid;
    std::optional<std::string> label;
};

struct InspectedVolume {
    std::string name;
    std::optional<std::uint64_t> disk; // 1 is the first; none: a logical volume
    std::uint64_t size = 0;
    std::optional<VolumeContent> content;
};

struct InspectedFstabEntry {
    std::string device;
    std::string mount_point;
    std::string type;
    std::vector<std::string> options;
    std::optional<std::string> volume; // that it means
};

struct InspectedMount {
    std::string mount_point;
    std::string volume;
    std::string type;
    std::optional<std::string> uuid;
    std::optional<std::string> label;
    std::optional<std::string> subvolume; // of btrfs; none: the whole file system
    std::optional<std::uint64_t> size;    // none, with the next three: not known
    std::optional<std::uint64_t> free;
    std::optional<std::uint64_t> inodes;
    std::optional<std::uint64_t> free_inodes;
};

struct InspectedMissingMount {
    std::string mount_point;
    std::string device;
    std::string reason;
    std::string need;
};

struct GuestOs {
    std::string type; // "linux", "windows", "unknown"
    std::optional<std::string> distribution;
    std::optional<std::string> family;
    std::optional<std::string> product;
    std::optional<std::string> version;
    std::optional<std::string> codename;
    std::optional<std::string> architecture; // "amd64"
    std::optional<std::string> hostname;
    // Of Windows.
    std::optional<std::string> edition;
    std::optional<std::string> build;
    std::optional<std::string> release;
};

struct GuestEfiProgram {
    std::string path;
    std::optional<bool> is_signed; // none: not known
};

struct GuestBoot {
    bool bios = false;
    bool uefi = false;
    std::optional<std::string> loader;
    std::optional<std::string> efi_fallback;
    std::vector<GuestEfiProgram> efi_programs;
    std::vector<std::string> command_lines;
    std::vector<std::string> serial_consoles;
};

struct GuestInitrd {
    std::string path;
    std::uint64_t size = 0;
    std::optional<std::string> compression;
    std::uint64_t files = 0;
    std::optional<std::string> problem;
};

struct GuestKernel {
    std::string version;
    std::string path;
    std::uint64_t size = 0;
    std::optional<std::string> architecture;
    bool has_modules = false;
    std::optional<bool> boots_on_virtio;        // none: not known
    std::map<std::string, std::string> drivers; // "virtio_blk" → "initrd"
    std::optional<GuestInitrd> initrd;
};

struct GuestInterface {
    std::string stack;
    std::string file;
    std::optional<std::string> name;
    std::optional<std::string> method;
    std::optional<std::string> mac;
    std::optional<std::string> driver;
};

struct GuestCloudInit {
    bool installed = false;
    std::optional<std::string> version;
    bool disabled = false;
    bool network_disabled = false;
    std::vector<std::string> datasources;
    std::optional<std::string> datasource_file;
    std::vector<std::string> instances;
    bool has_seed = false;
};

struct GuestAgent {
    std::string name;
    std::string path;
    bool enabled = false;
};

struct GuestPackages {
    std::optional<std::string> manager;
    std::optional<std::uint64_t> count;
    std::optional<std::string> problem;
};

struct GuestUser {
    std::string name;
    std::uint64_t uid = 0;
    bool password = false;
    std::uint64_t authorized_keys = 0;
};

struct InspectedGuest {
    GuestOs os;
    GuestBoot boot;
    std::vector<GuestKernel> kernels; // newest first
    std::optional<std::string> init;
    std::vector<std::string> enabled_services;
    std::vector<GuestInterface> network;
    GuestCloudInit cloud_init;
    std::vector<GuestAgent> agents;
    GuestPackages packages;
    std::optional<std::string> machine_id;
    std::vector<std::string> host_keys;
    std::vector<GuestUser> users;
    std::optional<std::string> selinux;
    std::vector<std::string> remarks;
};

// What would keep the guest from booting elsewhere, or from its network.
struct GuestProblem {
    std::optional<std::string> fix; // in Edits::fixes; none: nothing mends it
    std::string text;
};

// How the disks are divided, and the guest on them.
struct Inside {
    std::optional<std::string> refusal; // why the division cannot be read; nothing else is told then
    InspectedTable table;
    std::vector<InspectedTable> further_tables; // of the machine's other disks
    std::vector<InspectedVolume> volumes;
    std::vector<InspectedFstabEntry> fstab;
    std::vector<InspectedMount> mounts;
    std::vector<InspectedMissingMount> missing;
    std::optional<std::string> backend; // that read it: "native", "libguestfs"
    std::optional<std::string> reason;  // why there is no guest
    std::vector<std::string> remarks;
    std::optional<InspectedGuest> guest;
    std::optional<std::vector<GuestProblem>> problems; // none: not looked for
};

struct Inspection {
    std::string source;                  // as it was asked for
    std::optional<InspectedDisk> disk;   // the boot disk; none: an image without one
    std::vector<InspectedDisk> disks;    // of a machine that has several, the boot disk first; else empty
    std::optional<InspectedImage> image; // none: it is a disk
    std::optional<std::string> no_disk;  // why an image has none
    std::optional<Machine> machine;      // none: nothing describes it
    std::optional<std::string> content;  // of a package, as InspectedImage::content
    std::vector<std::string> remarks;
    std::optional<Inside> inside; // none: the disk is refused
};

} // namespace vm2oci::v0
