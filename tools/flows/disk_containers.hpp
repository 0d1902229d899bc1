// The files that the disks of a machine lie in, from a reference: found and unpacked, not yet read as disks.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/open_disk.hpp"
#include "libconvert/hardware/hardware.hpp"
#include "libconvert/source/disk_file.hpp"
#include "libconvert/source/source_verifier.hpp"
#include "tools/flows/open_source.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct DiskContainer {
    std::string name;                         // for messages; escaped
    std::shared_ptr<const BlockDevice> bytes; // for open_disk(bytes, source, siblings)
    DiskSource source;
    std::optional<FilePacking> packing; // none: it was not compressed
    Siblings siblings = Siblings::none;
};

struct MachineContainers {
    std::vector<DiskContainer> disks;           // the first one is the boot disk; never empty
    std::optional<MachineHardware> hardware;    // none: nothing describes it
    std::shared_ptr<SourceVerifier> verifier{}; // null: nothing says what the files must be
    std::vector<std::string> remarks;           // for people; escaped
};

// What lies at the reference, and the further disks that the request names. `operation` outlives the result.
MachineContainers open_disk_containers(const DiskReference& reference, const SourceRequest& request,
                                       const OperationContext& operation);

// The further disks of the request alone, for a machine whose first disks lie in an image; `first` is the number that
// the first of them has in the machine. Error{usage}: what the request asks of packages only.
std::vector<DiskContainer> open_further_disks(const SourceRequest& request, std::size_t first,
                                              const OperationContext& operation);

} // namespace vm2oci
