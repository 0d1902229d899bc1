// Disks and images become images, disks and folders.
#pragma once

#include <vm2oci/boot.hpp>
#include <vm2oci/boot_report.hpp>
#include <vm2oci/bundle.hpp>
#include <vm2oci/container_disk.hpp>
#include <vm2oci/disk_output.hpp>
#include <vm2oci/edits.hpp>
#include <vm2oci/error.hpp>
#include <vm2oci/guest_access.hpp>
#include <vm2oci/image_output.hpp>
#include <vm2oci/kata.hpp>
#include <vm2oci/operation.hpp>
#include <vm2oci/rootfs.hpp>
#include <vm2oci/source.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace vm2oci::v0 {

// No packaging: the disk itself; of a bundle's image its files, where the destination is a folder.
struct PlainDisk {};

// KubeVirt's machine artifact, with all disks of the machine.
struct MachineArtifact {
    std::string instancetype; // of the VirtualMachine, instead of processors and memory; empty: those
    std::string preference;   // empty: none
};

// What podman machine pulls.
struct PodmanMachine {};

// What is made. Images need an image as destination, a plain disk the path of one, Kata a folder.
using Shape = std::variant<ContainerDisk, Bundle, Rootfs, Kata, PlainDisk, MachineArtifact, PodmanMachine>;

struct ConvertRequest {
    std::string source;      // a reference (source.hpp)
    std::string destination; // the same; of disks only "qcow2:PATH" and "raw:PATH"; "null:" computes and keeps nothing
    Shape shape = ContainerDisk{};
    SourceOptions source_options;
    GuestAccess access;
    Edits edits;
    DiskOutput disk;
    ImageOutput image;
    std::filesystem::path sbom;           // empty: none
    std::optional<BootRequest> boot_test; // what does not come up does not appear
};

struct ConvertResult {
    std::optional<WrittenImage> image; // none: the destination is no image
    std::optional<WrittenDisk> disk;   // none: what was made has no disk, or more to say than that
    std::optional<BootReport> boot;    // of the boot test
    bool published = false;            // false: the boot test failed, and nothing appeared
    std::vector<std::string> remarks;  // for people; escaped
};

// All or nothing: until everything is written and, where it was asked for, has booted, readers see what they saw
// before; after an Error, too. The same request gives the same digest.
VM2OCI_API ConvertResult convert(const ConvertRequest& request, const Operation& operation = {});

} // namespace vm2oci::v0
