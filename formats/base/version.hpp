// The version of vm2oci, and of what it prints for programs.
#pragma once

#include <string_view>

namespace vm2oci {

// "1.2.3", as the build system has it: what images and lists of packages are marked with.
std::string_view version();

// Of the forms of JSON documents (tools/documents/document.hpp says when it changes).
inline constexpr int kSchemaVersion = 1;

} // namespace vm2oci
