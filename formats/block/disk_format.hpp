// The formats of disks that are read here.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace vm2oci {

enum class DiskFormat : std::uint8_t { raw, qcow2, vmdk, vhd, vhdx, vdi };

// The order in which help names them.
inline constexpr std::array kDiskFormats = {DiskFormat::qcow2, DiskFormat::raw,  DiskFormat::vmdk,
                                            DiskFormat::vhd,   DiskFormat::vhdx, DiskFormat::vdi};

// The word of references and JSON: "qcow2", "vmdk".
std::string_view to_string(DiskFormat format);
// As people write it: "qcow2", "VMDK".
std::string_view display_name(DiskFormat format);

// Whether disks of this format are written, too, and taken by what runs containerDisks.
constexpr bool is_written(DiskFormat format) {
    return format == DiskFormat::raw || format == DiskFormat::qcow2;
}

} // namespace vm2oci
