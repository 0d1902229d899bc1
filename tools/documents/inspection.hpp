// What an inspection found, for programs. Strings from disks and images are escaped.
#pragma once

#include "tools/flows/inspect.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace vm2oci {

// The documents of `inspect`, without their version; `source` is the reference as the user wrote it.
nlohmann::ordered_json to_json(const DiskInspection& machine, const std::string& source);
nlohmann::ordered_json to_json(const ImageFindings& findings, const std::string& source);

// Their parts.
nlohmann::ordered_json disk_to_json(const DiskFindings& findings);
nlohmann::ordered_json packing_to_json(const FilePacking& packing);
nlohmann::ordered_json machine_to_json(const MachineHardware& hardware);
nlohmann::ordered_json guest_to_json(const GuestFindings& findings);

} // namespace vm2oci
