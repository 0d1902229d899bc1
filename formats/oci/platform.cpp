#include "formats/oci/platform.hpp"

#include "formats/base/escape.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

struct OtherName {
    std::string_view name;
    std::string_view architecture; // GOARCH
    std::string_view variant = "";
};

// The names that uname, QEMU and distributions use, and Go's own.
constexpr std::array kOtherNames = {
    OtherName{"amd64", "amd64"},
    OtherName{"x86_64", "amd64"},
    OtherName{"x86-64", "amd64"},
    OtherName{"386", "386"},
    OtherName{"i386", "386"},
    OtherName{"i586", "386"},
    OtherName{"i686", "386"},
    OtherName{"arm64", "arm64"},
    OtherName{"aarch64", "arm64"},
    OtherName{"arm", "arm"},
    OtherName{"armhf", "arm"},
    OtherName{"armv7l", "arm"},
    OtherName{"armv6l", "arm", "v6"},
    OtherName{"ppc64le", "ppc64le"},
    OtherName{"ppc64el", "ppc64le"},
    OtherName{"s390x", "s390x"},
    OtherName{"riscv64", "riscv64"},
    OtherName{"loong64", "loong64"},
    OtherName{"loongarch64", "loong64"},
    OtherName{"mips64le", "mips64le"},
    OtherName{"mips64el", "mips64le"},
};

struct DefaultVariant {
    std::string_view architecture;
    std::string_view variant;
};

// What an image without a variant is built for.
constexpr std::array kDefaultVariants = {DefaultVariant{"amd64", "v1"}, DefaultVariant{"arm64", "v8"},
                                         DefaultVariant{"arm64", "v8.0"}, DefaultVariant{"arm", "v7"}};

std::string without_default(std::string_view architecture, std::string variant) {
    // Some write the number alone.
    if (!variant.empty() && variant.front() >= '1' && variant.front() <= '9')
        variant.insert(0, 1, 'v');
    const bool is_default = std::ranges::any_of(kDefaultVariants, [&](const DefaultVariant& one) {
        return one.architecture == architecture && one.variant == variant;
    });
    return is_default ? "" : variant;
}

const OtherName* find_name(std::string_view name) {
    const auto* found = std::ranges::find(kOtherNames, name, &OtherName::name);
    return found == kOtherNames.end() ? nullptr : found;
}

bool is_variant(std::string_view text) {
    const auto is_part = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.'; };
    return !text.empty() && text.size() <= 16 && std::ranges::all_of(text, is_part);
}

} // namespace

std::optional<Platform> parse_platform(std::string_view text) {
    constexpr std::string_view linux_system = "linux/";
    if (text.starts_with(linux_system))
        text.remove_prefix(linux_system.size());
    const std::size_t slash = text.find('/');
    const OtherName* known = find_name(text.substr(0, slash));
    if (known == nullptr || (slash != std::string_view::npos && !is_variant(text.substr(slash + 1))))
        return std::nullopt;
    const std::string variant(slash == std::string_view::npos ? known->variant : text.substr(slash + 1));
    return Platform{.architecture = std::string(known->architecture),
                    .variant = without_default(known->architecture, variant)};
}

Platform canonical_platform(const Platform& platform) {
    const OtherName* known = find_name(platform.architecture);
    if (known == nullptr)
        return platform;
    const std::string variant = platform.variant.empty() ? std::string(known->variant) : platform.variant;
    return {.architecture = std::string(known->architecture),
            .os = platform.os,
            .variant = without_default(known->architecture, variant)};
}

std::string architecture_text(const Platform& platform) {
    return platform.variant.empty() ? platform.architecture : platform.architecture + "/" + platform.variant;
}

std::string describe_platform(const Platform& platform) {
    constexpr std::size_t longest = 96; // of a message's part
    return escape_untrusted((platform.os.empty() ? "" : platform.os + "/") + architecture_text(platform), longest);
}

std::string machine_architecture() {
    struct utsname names {};
    if (::uname(&names) != 0)
        return "";
    const OtherName* known = find_name(names.machine);
    return known == nullptr ? "" : std::string(known->architecture);
}

} // namespace vm2oci
