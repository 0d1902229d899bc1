// vm2oci's own kernel for guests, as it is installed.
#pragma once

#include <filesystem>
#include <string>

namespace vm2oci {

// In the folder of the kernel. Micro-VMs load vmlinux beside it; QEMU and KubeVirt take this one, a bzImage or an arm64
// Image, and so does an image.
inline constexpr const char* kMinimalKernel = "vmlinuz";

// That folder, for an architecture by its OCI name. Error{not_found}, with what to do, if it is not installed.
std::filesystem::path minimal_kernel_folder(const std::string& architecture);

} // namespace vm2oci
