// Stable names for what fails: "disk-truncated", "qcow2-corrupt", "registry-failed". Programs compare them, people look
// them up.
//
// A name follows from what an Error says already, by the first of these rules that gives one that is documented: its
// hint (what could be asked for instead is what went wrong, said from the other side); the part of vm2oci that threw
// it, with its kind; its kind alone. tools/design/0011-error-codes.md says why.
#pragma once

#include "formats/base/error.hpp"

#include <span>
#include <string>
#include <string_view>

namespace vm2oci {

std::string error_code(const Error& error);

// Every one that there is, in the order of the manual.
std::span<const std::string_view> error_codes();

} // namespace vm2oci
