// Which version this is.
#pragma once

#include <vm2oci/export.hpp>

#include <string_view>

namespace vm2oci::v0 {

VM2OCI_API std::string_view version(); // of the library that runs: "1.2.3"
VM2OCI_API int schema_version();       // of the JSON documents that it writes and reads

} // namespace vm2oci::v0
