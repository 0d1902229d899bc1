#include "tools/flows/sbom.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/inspect/cyclonedx.hpp"
#include "libconvert/package/timestamp.hpp"

namespace vm2oci {

namespace {

// The names that CycloneDX' tools know its documents by (cyclonedx.org/specification, "Recognized file patterns").
bool is_cyclonedx_name(std::string_view path) {
    const std::string_view file = path.substr(path.rfind('/') + 1); // all of it without a slash
    return file == "bom.json" || file.ends_with(".cdx.json");
}

} // namespace

std::string make_sbom(const OpenedGuest& opened, const std::string& path) {
    if (!opened.guest)
        fail(ErrorKind::unsupported, "there is no guest to list packages of: " + escape_untrusted(opened.reason),
             opened.reason_hint);
    const PackageDatabase database = read_package_database(*opened.guest, PackageLicenses::read);
    if (database.manager.empty())
        fail(ErrorKind::unsupported, "the guest has no database of packages that is known (dpkg, rpm, apk, pacman)");
    const OsInfo os = inspect_os(opened);
    const std::string name = os.hostname.empty() ? os.product : os.hostname;
    const SbomOptions options{name.empty() ? "guest" : name, format_timestamp(default_timestamp())};
    return is_cyclonedx_name(path) ? write_cyclonedx(os, database, options) : write_spdx(os, database, options);
}

} // namespace vm2oci
