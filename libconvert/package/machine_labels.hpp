// What an image says of the machine that its disk comes from.
#pragma once

#include "libconvert/hardware/hardware.hpp"
#include "libconvert/package/image_assembly.hpp"

namespace vm2oci {

// Labels "org.vm2oci.machine.…" and annotations of the same names, unless the user gave them: source, name, annotation,
// os-type, cpus, cores-per-socket, memory (bytes), firmware, secure-boot; controllers, disks and nics as JSON. Escaped.
void add_machine_labels(const MachineHardware& hardware, ImageOptions& image);

} // namespace vm2oci
