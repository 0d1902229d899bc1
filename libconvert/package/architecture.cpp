#include "libconvert/package/architecture.hpp"

#include "formats/base/error.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <array>
#include <utility>

namespace vm2oci {
namespace {

// The names that uname, QEMU and distributions use, beside Go's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kNames = {{
    {"x86_64", "amd64"},
    {"i386", "386"},
    {"i686", "386"},
    {"aarch64", "arm64"},
    {"armv7l", "arm"},
    {"armhf", "arm"},
    {"ppc64le", "ppc64le"},
    {"ppc64el", "ppc64le"},
    {"s390x", "s390x"},
    {"riscv64", "riscv64"},
    {"loongarch64", "loong64"},
    {"mips64el", "mips64le"},
}};

} // namespace

std::string parse_architecture(std::string_view name) {
    for (const auto& [other, go] : kNames)
        if (name == other || name == go)
            return std::string(go);
    fail(ErrorKind::usage,
         fmt::format("'{}' is not an architecture; name one like amd64, arm64, ppc64le, s390x or riscv64", name));
}

std::string host_architecture() {
    struct utsname names {};
    if (::uname(&names) != 0)
        fail(ErrorKind::io, "cannot tell this machine's architecture; name one with --arch");
    return parse_architecture(names.machine);
}

} // namespace vm2oci
