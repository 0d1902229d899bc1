// OVF: a machine's description, and the files that its disks lie in.
//
// Sources of the format: DMTF DSP0243 1.1 and 2.0; what virt-v2v reads (input/parse_ovf_from_ova.ml); oVirt's dialect,
// which is that of OVF 0.9 (ovirt-engine, OvfWriter).
#pragma once

#include "libconvert/hardware/hardware.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class OvfCompression { none, gzip };
// What a descriptor says that a disk is, where the disk itself does not: a fixed VHD is told from a raw disk by its end
// alone.
enum class OvfFormat { unsaid, vhd };

struct OvfFile {
    std::string id;
    std::string href;                  // untrusted; a file beside the descriptor
    std::optional<std::uint64_t> size; // as it is said
    OvfCompression compression = OvfCompression::none;
};

struct OvfMachine {
    std::vector<OvfFile> files;
    MachineHardware hardware;
    std::vector<std::optional<std::size_t>> disk_files; // for each of hardware.disks an index of `files`; none: blank
    std::vector<OvfFormat> disk_formats;                // for each of hardware.disks
    bool sizes_are_exact = true;                        // false: oVirt's, which says about how much a file will take
};

// `name` is what to call the descriptor in messages. What no machine can be made of is refused: Error{corrupt} (ids
// that are there twice, references to nothing, numbers that are none), Error{unsupported} (several machines, split
// files, disks that rest on others, compressions), Error{unsafe} (a document type), Error{limit}.
OvfMachine parse_ovf(std::string_view text, std::string_view name);

// The bytes in one unit: "byte * 2^20", "MegaBytes", "GB", "byte" (DSP0004, annex C; the names are OVF 0.9's). nullopt:
// not known.
std::optional<std::uint64_t> allocation_unit(std::string_view text);

} // namespace vm2oci
