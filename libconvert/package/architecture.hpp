// Processor architectures as OCI names them (GOARCH).
#pragma once

#include <string>
#include <string_view>

namespace vm2oci {

// "x86_64" → "amd64", "aarch64" → "arm64", …; GOARCH names pass. Error{usage} for anything else.
std::string parse_architecture(std::string_view name);

// Of the machine that runs vm2oci.
std::string host_architecture();

} // namespace vm2oci
