// A machine as a cluster or a hypervisor must be told of it: what was learned of its guest, of the hardware that it
// had, and what the user wants, brought together. Everything that is printed is decided here or by the caller.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class StartFirmware { bios, uefi, uefi_secure };
enum class DiskAttachment { virtio, sata };
enum class NicModel { virtio, e1000, e1000e, rtl8139 };
std::string_view to_string(StartFirmware firmware);    // "bios", "uefi", "uefi-secure"
std::string_view to_string(DiskAttachment attachment); // "virtio", "sata"
std::string_view to_string(NicModel model);            // "virtio", …

struct RunnableDisk {
    std::string name;                // a DNS label: "rootdisk", "disk2"
    std::string image;               // that a cluster pulls: "HOST/REPO@sha256:…"; empty: it lies in none
    std::string tagged;              // the same by its tag: "HOST/REPO:TAG"; empty: not known
    std::string path;                // in the image, with a leading slash
    std::string file;                // on this host; empty: it lies in an image
    std::string format = "qcow2";    // qcow2, raw, or what the file is
    std::uint64_t size = 0;          // bytes that the guest sees
    std::uint64_t sector_size = 512; // that its partition table counts in
};

struct RunnableNic {
    NicModel model = NicModel::virtio;
    std::string mac;     // empty: a new one each time
    std::string network; // Multus' name of a network; empty: the pod's
    std::string origin;  // what it was connected to before; empty: not known. Escaped
};

enum class SeedForm { no_cloud, config_drive };

struct RunnableSeed {
    std::string user_data;                   // may be empty
    std::optional<std::string> network_data; // in the form of `form`
    SeedForm form = SeedForm::no_cloud;
};

// A kernel that is started without firmware; paths in the image of the first disk, with a leading slash.
struct RunnableKernel {
    std::string kernel;
    std::optional<std::string> initramfs;
    std::string command_line;
    bool read_only_root = false;
};

// What the image of the machine is.
enum class RunnableForm {
    disk,           // a plain disk
    container_disk, // an image with a disk
    bundle,         // kernel and root
    rootfs,         // a container image
    vm_artifact,    // KubeVirt's machine artifact
};

struct RunnableGuest {
    std::string type = "unknown"; // "linux", "windows", "unknown"
    std::string distribution;     // as OsInfo has them
    std::string version;
    std::string product; // for people, escaped
    bool is_known() const { return !product.empty(); }
};

struct RunnableMachine {
    std::string name;         // a DNS label
    std::string namespace_;   // empty: whichever is current
    std::string architecture; // GOARCH
    RunnableForm form = RunnableForm::container_disk;
    RunnableGuest guest;
    unsigned sockets = 1;
    unsigned cores = 2;       // a socket
    std::uint64_t memory = 0; // bytes
    StartFirmware firmware = StartFirmware::bios;
    bool old_machine = false;         // the guest does not know PCI Express: "pc" instead of "q35"
    bool transitional_virtio = false; // the guest's virtio is older than version 1.0
    DiskAttachment attachment = DiskAttachment::virtio;
    std::vector<RunnableDisk> disks; // the boot disk first; never empty but for rootfs
    std::string image;               // of a rootfs: what a runtime pulls
    bool names_program = true;       // of a rootfs: the image says what is to be started; else its init is
    std::vector<RunnableNic> nics;   // empty: none
    std::optional<RunnableKernel> kernel;
    std::optional<RunnableSeed> seed;
    std::string instance_type; // instead of processors and memory; empty: those
    std::string preference;    // empty: none
    std::string pull_secret;   // of the registry; empty: none
    // For people, escaped: why a field is not what its default is, by topic, and what is left to do.
    struct Reasons {
        std::string image, sizes, firmware, machine, attachment, network, kernel, preference;
    } reasons;
    std::vector<std::string> remarks; // for people, escaped: what the document does not say by itself
};

// A DNS label (RFC 1123) of any text: lower case, at most 63 bytes, `otherwise` where nothing is left.
std::string dns_label(std::string_view text, std::string_view otherwise);

// As Kubernetes writes quantities: "2Gi", "1536Mi", or plain bytes.
std::string quantity(std::uint64_t bytes);

} // namespace vm2oci
