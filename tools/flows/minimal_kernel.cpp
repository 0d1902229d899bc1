#include "tools/flows/minimal_kernel.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/shared_files.hpp"
#include "formats/oci/platform.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace vm2oci {
namespace {

// The build's own target makes the kernel of the machine that builds.
std::string who_brings(std::string_view folder, bool is_of_this_machine) {
    if (is_of_this_machine)
        return std::string(kKernelIsBrought);
    return fmt::format(
        "in vm2oci's source guest-kernel/build.sh makes it, told {} as its architecture and a folder for "
        "its output (the manual has the line), with that architecture's cross compiler",
        folder == shared_file::guest_kernel_arm64 ? "arm64" : "x86_64");
}

} // namespace

std::filesystem::path minimal_kernel_folder(const std::string& architecture) {
    // A kernel for amd64 runs programs for 386, too.
    constexpr std::array<std::string_view, 4> kServed = {"amd64", "386", "arm64", ""};
    if (std::find(kServed.begin(), kServed.end(), architecture) == kServed.end())
        fail(ErrorKind::unsupported, fmt::format("the kernel minimal is made for amd64 and arm64, and this is for {}; "
                                                 "another kernel can be named by its file",
                                                 quote_untrusted(architecture)));
    const std::string_view folder =
        architecture == "arm64" ? shared_file::guest_kernel_arm64 : shared_file::guest_kernel_x86_64;
    auto path = find_shared_file(folder);
    if (!path)
        fail(ErrorKind::not_found,
             fmt::format("the kernel minimal: share/vm2oci/{} is not beside this program, for it is built only when "
                         "asked for: {}",
                         folder, who_brings(folder, (machine_architecture() == "arm64") == (architecture == "arm64"))));
    return *std::move(path);
}

} // namespace vm2oci
