// Mounts as an initramfs makes them.
#pragma once

#include "guest-kernel/agent/boot_line.hpp"

#include <string>
#include <string_view>

namespace vm2oci::guest {

// rootflags= apart: what mount(2) takes as bits, and what the file system reads itself.
struct MountFlags {
    unsigned long bits = 0;
    std::string rest;
};
MountFlags parse_mount_flags(std::string_view flags);

bool is_read_only_file_system(std::string_view type); // erofs, squashfs, iso9660

// Error{io} when the kernel refuses.
void mount_on(const std::string& source, const std::string& target, const std::string& type, unsigned long bits,
              const std::string& data = {});

// /proc, /sys, /dev and /run of the initramfs, and a console for what is printed.
void mount_kernel_file_systems();

// Whether a layer in memory goes over the root: the line or the file system asks for one.
bool is_layered(const BootLine& line, std::string_view type);

// On `target`, which is made.
void mount_share(const std::string& source, const std::string& target, const std::string& type);

// A file system, on a device.
struct LayerPlace {
    std::string node;
    std::string type;
};

// Mounts the root at /root, with a layer over it if is_layered(): on `layer`, or in memory where that is nullptr.
void mount_root(const std::string& node, const std::string& type, const BootLine& line, const LayerPlace* layer);

} // namespace vm2oci::guest
