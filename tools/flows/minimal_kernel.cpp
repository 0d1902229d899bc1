#include "tools/flows/minimal_kernel.hpp"

#include "formats/base/error.hpp"
#include "formats/base/shared_files.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace vm2oci {

std::filesystem::path minimal_kernel_folder(const std::string& architecture) {
    const std::string_view folder =
        architecture == "arm64" ? shared_file::guest_kernel_arm64 : shared_file::guest_kernel_x86_64;
    auto path = find_shared_file(folder);
    if (!path)
        fail(ErrorKind::not_found,
             fmt::format("the kernel minimal: share/vm2oci/{} is not beside this program, for it is built only when "
                         "asked for: {}",
                         folder, kKernelIsBrought));
    return *std::move(path);
}

} // namespace vm2oci
