#include "libconvert/inspect/package_url.hpp"

#include "formats/base/sha256.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <span>
#include <vector>

namespace vm2oci {
namespace {

// As purl wants names and versions (package-url's specification, "Character encoding").
std::string percent_encode(std::string_view text) {
    constexpr std::string_view kPlain = "-._~:";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x80 && std::isalnum(byte) != 0) || kPlain.find(c) != std::string_view::npos)
            out += c;
        else
            out += fmt::format("%{:02X}", byte);
    }
    return out;
}

// What scanners match advisories of sources by, as syft writes and grype reads it: "NAME" or "NAME@VERSION" of a source
// package, of rpm the file's name.
std::string upstream(const InstalledPackage& package, const std::string& manager) {
    std::string source = package.source;
    if (manager != "dpkg")
        return source == package.name ? std::string() : source;
    const std::size_t bracket = source.find(" (");
    if (bracket == std::string::npos || !source.ends_with(')'))
        return source;
    return source.substr(0, bracket) + "@" + source.substr(bracket + 2, source.size() - bracket - 3);
}

} // namespace

std::string package_url(const InstalledPackage& package, const std::string& manager, const OsInfo& os) {
    const std::string type = manager == "dpkg" ? "deb" : manager == "pacman" ? "alpm" : manager;
    std::string distribution = os.distribution.empty() ? os.family : os.distribution;
    std::transform(distribution.begin(), distribution.end(), distribution.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string version = package.version;
    std::vector<std::string> qualifiers;
    if (!package.architecture.empty())
        qualifiers.push_back("arch=" + percent_encode(package.architecture));
    if (!distribution.empty() && !os.version.empty())
        qualifiers.push_back("distro=" + percent_encode(distribution + "-" + os.version));
    if (const std::size_t colon = version.find(':'); manager == "rpm" && colon != std::string::npos) {
        qualifiers.push_back("epoch=" + percent_encode(version.substr(0, colon)));
        version.erase(0, colon + 1);
    }
    if (const std::string built_from = upstream(package, manager); !built_from.empty())
        qualifiers.push_back("upstream=" + percent_encode(built_from));
    std::sort(qualifiers.begin(), qualifiers.end());
    std::string url =
        fmt::format("pkg:{}/{}{}@{}", type, distribution.empty() ? "" : percent_encode(distribution) + "/",
                    percent_encode(package.name), percent_encode(version));
    for (std::size_t i = 0; i < qualifiers.size(); ++i)
        url += (i == 0 ? "?" : "&") + qualifiers[i];
    return url;
}

std::string content_uuid(std::string_view content) {
    const std::string hash = to_hex(sha256(std::as_bytes(std::span(content))));
    return fmt::format("{}-{}-8{}-a{}-{}", hash.substr(0, 8), hash.substr(8, 4), hash.substr(12, 3), hash.substr(15, 3),
                       hash.substr(18, 12));
}

} // namespace vm2oci
