// KubeVirt's machine artifact: a VirtualMachine as the config, and each of its disks, raw in zstd, as a layer.
//
// kubevirt/kubevirt pkg/storage/oci/oci.go, hack/oci-import.sh: manifest and config have types of their own; of a layer
// the annotations say the disk's name, which is the claim's that the machine mounts, and its size.
#pragma once

#include "formats/oci/image.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/hardware/hardware.hpp"
#include "libconvert/package/disk_image.hpp"
#include "libconvert/package/image_assembly.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

namespace vm_artifact {
inline constexpr std::string_view artifact_type = "application/vnd.kubevirt.virtualmachine.v1";
inline constexpr std::string_view config_type = "application/vnd.kubevirt.virtualmachine.config.v1+json";
inline constexpr std::string_view disk_type = "application/vnd.kubevirt.disk.raw+zstd";
inline constexpr const char* disk_name = "io.kubevirt.disk.name"; // annotations of a layer
inline constexpr const char* disk_size = "io.kubevirt.disk.size"; // a quantity: "10Gi", or bytes
inline constexpr const char* hardware_source = "KubeVirt";        // MachineHardware::source
} // namespace vm_artifact

// A raw disk, whole. `name`: a DNS label. One pass; frames with a seek table, which `zstd -d` passes
// over. Error{usage} for a compression that is not zstd.
StoredLayer write_machine_disk(const DiskImage& disk, const std::string& name, const LayerOptions& options,
                               ImageDestination& destination, const OperationContext& operation);

// Config and manifest; of `options` the architecture, the time and the annotations count. The time stands in the
// descriptor alone, where a store's index has it. The caller publishes.
Descriptor assemble_vm_artifact(const std::string& virtual_machine, const std::vector<StoredLayer>& disks,
                                const ImageOptions& options, ImageDestination& destination);

bool is_vm_artifact(const ImageManifest& manifest);

// A disk of an artifact.
struct MachineDiskLayer {
    std::size_t layer = 0; // index in the manifest
    std::string name;      // untrusted
    std::optional<std::uint64_t> size;
};

// The disks of an artifact in the order that `virtual_machine` mounts them (boot order first, then as they are listed);
// those that it does not mount follow. Error{corrupt}: no disk, a name twice, a size that is none.
std::vector<MachineDiskLayer> disks_of_vm_artifact(const ImageManifest& manifest, std::string_view virtual_machine);

// The claims that it mounts, boot order first, spelled as the importer compares them with the disks' names.
// Error{corrupt}: no VirtualMachine.
std::vector<std::string> claims_of_virtual_machine(std::string_view virtual_machine);

// What the VirtualMachine asks for; what is not said or not understood stays open. Error{corrupt}: no VirtualMachine.
MachineHardware hardware_of_virtual_machine(std::string_view virtual_machine);

// A quantity of Kubernetes in whole bytes: "10Gi", "1500M", "1e9", "1073741824". nullopt: it is none.
std::optional<std::uint64_t> parse_quantity(std::string_view text);

} // namespace vm2oci
