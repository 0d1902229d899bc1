// What an image says of the machine that its disk comes from.
#pragma once

#include "libconvert/hardware/hardware.hpp"
#include "libconvert/package/image_assembly.hpp"

#include <map>
#include <optional>
#include <string>

namespace vm2oci {

// Labels "org.vm2oci.machine.…" and annotations of the same names, unless the user gave them: source, name, annotation,
// os-type, cpus, cores-per-socket, memory (bytes), firmware, secure-boot; controllers, disks and nics as JSON. Escaped.
void add_machine_labels(const MachineHardware& hardware, ImageOptions& image);

// The way back, from annotations or labels; what does not parse is left out. nullopt: they tell of no machine.
std::optional<MachineHardware> hardware_of_labels(const std::map<std::string, std::string>& labels);

} // namespace vm2oci
