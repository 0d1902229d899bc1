#include "libconvert/package/architecture.hpp"

#include "formats/base/error.hpp"
#include "formats/oci/platform.hpp"

#include <fmt/format.h>

namespace vm2oci {
namespace {

Platform known_platform(std::string_view name) {
    const std::optional<Platform> platform = parse_platform(name);
    if (platform)
        return *platform;
    if (const std::size_t slash = name.find('/');
        slash != std::string_view::npos && !parse_platform(name.substr(0, slash)))
        if (const std::string_view rest = name.substr(slash + 1); !name.starts_with("linux/") && parse_platform(rest))
            fail(ErrorKind::usage,
                 fmt::format("'{}' names the system {}, and only images for linux are made and chosen; name {} alone",
                             name, name.substr(0, slash), rest));
    fail(ErrorKind::usage, fmt::format("'{}' is not an architecture; name one like amd64, arm64, ppc64le, s390x or "
                                       "riscv64, also as linux/arm64 or arm/v6",
                                       name));
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
