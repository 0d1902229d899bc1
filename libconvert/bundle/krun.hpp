// A bundle for krun: crun's handler that runs a container in a micro-VM by libkrun, `podman run --runtime krun`.
//
// krun gives the guest no disk but the container's files, by virtiofs, and starts the kernel that /.krun_vm.json names
// (crun: krun.1.md, src/libcrun/handlers/krun.c). So vm2oci's own init mounts the files and makes the root's file there
// a disk. libkrun reads ELF kernels and no LZ4 or xz inside of a bzImage (src/vmm/src/builder.rs).
#pragma once

#include "formats/oci/bundle.hpp"

#include <string>
#include <string_view>

namespace vm2oci {

namespace krun_path {
inline constexpr const char* settings = ".krun_vm.json"; // at the top, where crun-vm stumbles over it: only when asked
inline constexpr const char* kernel = "boot/vmlinux";    // as an ELF file; bundle_path::kernel stays for the others
} // namespace krun_path

enum class KrunKernel { raw, elf }; // arm64's Image as it is, or an ELF file

// /.krun_vm.json, one line. `kernel` is the path of the kernel that krun is to start.
// Error{unsupported} for a bundle that krun cannot start: a qcow2 root, or no initramfs of ours.
std::string krun_settings(const BundleDescription& bundle, std::string_view kernel, KrunKernel format);

} // namespace vm2oci
