// Platforms as indexes and people write them, brought to one spelling.
#pragma once

#include "formats/oci/descriptor.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

// "x86_64" → amd64, "aarch64" and "arm64/v8" → arm64, "armv6l" → arm with the variant v6, …: an architecture by the
// name of Go, the kernel or a distribution, with or without a variant, and with or without "linux/" before it. The
// variant that is meant without one (amd64/v1, arm64/v8, arm/v7) is "". nullopt: no architecture that we know.
std::optional<Platform> parse_platform(std::string_view text);

// Of an index's entry: architecture and variant in that spelling; what is unknown stays as it is.
Platform canonical_platform(const Platform& platform);

// "arm64", "arm/v6"
std::string architecture_text(const Platform& platform);

// "linux/arm64/v9", as it is written there, escaped.
std::string describe_platform(const Platform& platform);

// Of the machine that runs vm2oci, by its GOARCH name; "" if it is none that we know.
std::string machine_architecture();

} // namespace vm2oci
