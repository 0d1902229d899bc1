// vm2oci's own kernel for guests, as it is installed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace vm2oci {

// In the folder of the kernel. Micro-VMs load vmlinux beside it; QEMU and KubeVirt take this one, a bzImage or an arm64
// Image, and so does an image.
inline constexpr const char* kMinimalKernel = "vmlinuz";

// That folder, for an architecture by its OCI name. Error{not_found}, with what to do, if it is not installed.
std::filesystem::path minimal_kernel_folder(const std::string& architecture);

// Who brings vm2oci's kernel where it is not installed, as the rest of a sentence.
inline constexpr std::string_view kKernelIsBrought =
    "the package vm2oci-guest-kernel brings it, or in vm2oci's source 'cmake --build --preset release --target "
    "guest-kernel && cmake --install build/release' (ten minutes, once)";

} // namespace vm2oci
