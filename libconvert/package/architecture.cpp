#include "libconvert/package/architecture.hpp"

#include "formats/base/error.hpp"
#include "formats/oci/platform.hpp"

#include <fmt/format.h>

namespace vm2oci {
namespace {

Platform known_platform(std::string_view name) {
    const std::optional<Platform> platform = parse_platform(name);
    if (!platform)
        fail(ErrorKind::usage,
             fmt::format("'{}' is not an architecture; name one like amd64, arm64, ppc64le, s390x or riscv64", name));
    return *platform;
}

} // namespace

std::string parse_architecture(std::string_view name) {
    const Platform platform = known_platform(name);
    if (!platform.variant.empty())
        fail(ErrorKind::usage,
             fmt::format("'{}' names the variant {}, and an architecture alone is taken here; name the image itself by "
                         "its digest, or copy it out of the index first",
                         name, platform.variant));
    return platform.architecture;
}

std::string parse_wanted_platform(std::string_view name) {
    return architecture_text(known_platform(name));
}

std::string host_architecture() {
    std::string name = machine_architecture();
    if (name.empty())
        fail(ErrorKind::io, "cannot tell this machine's architecture", HintKind::architecture);
    return name;
}

} // namespace vm2oci
