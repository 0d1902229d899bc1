// Processor architectures as OCI names them (GOARCH).
#pragma once

#include <string>
#include <string_view>

namespace vm2oci {

// "x86_64" and "linux/amd64" → "amd64", "aarch64" and "arm64/v8" → "arm64", …; GOARCH names pass. Error{usage} for
// anything else, also for a variant that is not the architecture's usual one.
std::string parse_architecture(std::string_view name);

// Which image of an index: as parse_architecture(), and any variant ("arm/v6").
std::string parse_wanted_platform(std::string_view name);

// Of the machine that runs vm2oci.
std::string host_architecture();

} // namespace vm2oci
