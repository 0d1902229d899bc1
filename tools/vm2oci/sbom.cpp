#include "tools/vm2oci/sbom.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/output_file.hpp"
#include "libconvert/inspect/spdx.hpp"
#include "libconvert/package/timestamp.hpp"

namespace vm2oci::cli {

std::string make_sbom(const OpenedGuest& opened, const OsInfo& os) {
    if (!opened.guest)
        fail(ErrorKind::not_found, "there is no guest to list packages of: " + escape_untrusted(opened.reason));
    const PackageDatabase database = read_package_database(*opened.guest, PackageLicenses::read);
    if (database.manager.empty())
        fail(ErrorKind::not_found, "the guest has no database of packages that is known (dpkg, rpm, apk, pacman)");
    const std::string name = os.hostname.empty() ? os.product : os.hostname;
    return write_spdx(os, database, {name.empty() ? "guest" : name, format_timestamp(default_timestamp())});
}

void write_sbom(const std::string& document, const std::string& path) {
    write_output(path, as_bytes(document));
}

} // namespace vm2oci::cli
