// Names for what is in a bill of materials.
#pragma once

#include "libconvert/inspect/guest_info.hpp"
#include "libconvert/inspect/package_database.hpp"

#include <string>
#include <string_view>

namespace vm2oci {

// The package's purl (package-url's specification, and its types deb, rpm, apk and alpm), with the source package that
// it was built from as "upstream".
std::string package_url(const InstalledPackage& package, const std::string& manager, const OsInfo& os);

// A UUID that nobody else has and that the same content has again: version 8 of RFC 9562.
std::string content_uuid(std::string_view content);

} // namespace vm2oci
