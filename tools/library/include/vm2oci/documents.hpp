// Documents that vm2oci wrote, as JSON, read back into values. share/vm2oci/schema describes them.
//
// Members that are not known are left out, for a newer vm2oci may have written them. Error{corrupt} for what is no such
// document, Error{unsupported} for one of another schema_version.
#pragma once

#include <vm2oci/boot_report.hpp>
#include <vm2oci/error.hpp>
#include <vm2oci/inspection.hpp>

#include <string>
#include <string_view>

namespace vm2oci::v0 {

// What `vm2oci inspect` prints for programs.
VM2OCI_API Inspection read_inspection(std::string_view json);
VM2OCI_API std::string write_document(const Inspection& inspection);

// What `vm2oci boot` prints for programs, and the boot.json of its reports.
VM2OCI_API BootReport read_boot_report(std::string_view json);
VM2OCI_API std::string write_document(const BootReport& report);

} // namespace vm2oci::v0
