// The kernel inside a bzImage: what VMMs without a boot loader of their own start.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

// A decompressed x86 kernel has 30 to 80 MB, with debug information a few hundred; bounds a hostile image.
inline constexpr std::size_t kElfKernelLimit = 1024ull * 1024 * 1024;

// The ELF file that a bzImage unpacks at boot (Documentation/arch/x86/boot.rst: payload_offset), in any of the kernel's
// compressions but lzo. An ELF file is returned as it is; nullopt for kernels of other kinds, such as arm64's Image,
// which are started as they are. Error{corrupt}, Error{unsupported}, Error{limit}.
std::optional<std::string> elf_kernel(std::string_view image);

} // namespace vm2oci
