#include "formats/block/disk_format.hpp"

namespace vm2oci {

std::string_view to_string(DiskFormat format) {
    switch (format) {
    case DiskFormat::raw:
        return "raw";
    case DiskFormat::qcow2:
        return "qcow2";
    case DiskFormat::vmdk:
        return "vmdk";
    case DiskFormat::vhd:
        return "vhd";
    case DiskFormat::vhdx:
        return "vhdx";
    case DiskFormat::vdi:
        return "vdi";
    }
    return "";
}

std::string_view display_name(DiskFormat format) {
    switch (format) {
    case DiskFormat::vmdk:
        return "VMDK";
    case DiskFormat::vhd:
        return "VHD";
    case DiskFormat::vhdx:
        return "VHDX";
    case DiskFormat::vdi:
        return "VDI";
    default:
        return to_string(format);
    }
}

} // namespace vm2oci
