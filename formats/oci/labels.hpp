// The names under which images of vm2oci's tell what is in them: labels of the configuration, annotations of the
// manifest.
#pragma once

#include <string>
#include <string_view>

namespace vm2oci::label {

inline constexpr const char* version = "org.vm2oci.version"; // of vm2oci, that wrote it
inline constexpr const char* disk_format = "org.vm2oci.disk.format";
inline constexpr const char* disk_virtual_size = "org.vm2oci.disk.virtual-size";
inline constexpr const char* disk_allocated_size = "org.vm2oci.disk.allocated-size";
inline constexpr std::string_view guest_prefix = "org.vm2oci.guest.";
// The machine that the disk comes from, and which of its disks it is.
inline constexpr std::string_view machine_prefix = "org.vm2oci.machine.";
inline constexpr std::string_view machine_disk_count = "org.vm2oci.machine.disk-count";
inline constexpr std::string_view machine_disk = "org.vm2oci.machine.disk";                     // from 1
inline constexpr std::string_view machine_further_images = "org.vm2oci.machine.further-images"; // tags, with blanks
// A seed beside the disk: each of its files in base64, under its own name.
inline constexpr std::string_view cloud_init_prefix = "org.vm2oci.cloud-init.";
// OCI's own (image-spec, annotations.md).
inline constexpr const char* oci_created = "org.opencontainers.image.created";
inline constexpr const char* oci_title = "org.opencontainers.image.title";

inline std::string below(std::string_view prefix, std::string_view name) {
    return std::string(prefix) + std::string(name);
}

} // namespace vm2oci::label
