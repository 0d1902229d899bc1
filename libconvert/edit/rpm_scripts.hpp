// The scripts that an RPM package file would have run, by its header: libarchive reads its files alone.
//
// Source of the format: rpm's documentation, format_v4.md (lead, signature, header, payload).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// "preinst", "postinst" and so on, as Debian calls the same; empty for what is no RPM package or has none.
std::vector<std::string> rpm_scripts(std::string_view package);

} // namespace vm2oci
