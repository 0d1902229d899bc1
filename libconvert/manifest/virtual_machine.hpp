// KubeVirt's VirtualMachine as a value, shared by the targets that contain one.
#pragma once

#include "libconvert/manifest/runnable_machine.hpp"

#include <cstddef>
#include <vector>

namespace vm2oci {

struct ManifestDocument; // libconvert/manifest/document.hpp

// Where its disks come from.
enum class VolumeSource {
    container_disk, // the image itself
    data_volume,    // templates of data volumes, which import the image
    data_source,    // templates that clone what an import cron keeps
    claim,          // claims that are there, one of each disk's name
};

// Error{unsupported} for a form that KubeVirt does not run.
ManifestDocument virtual_machine(const RunnableMachine& machine, VolumeSource source);

// The Secret with cloud-init's data; none: there is no data.
std::vector<ManifestDocument> seed_secret(const RunnableMachine& machine);

// What a claim must ask for so that the disk fits; CDI adds what a file system takes by itself.
std::uint64_t claim_size(const RunnableDisk& disk);

// "web01-disk2": what a disk's volume of the machine is called.
std::string volume_claim_name(const RunnableMachine& machine, std::size_t disk);

} // namespace vm2oci
