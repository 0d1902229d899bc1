// References as words of a command line.
#pragma once

#include "formats/oci/reference.hpp"

#include <string>
#include <string_view>

namespace vm2oci::cli {

// The image that a reference must name (Error{usage} for a disk, naming `command`).
ImageReference parse_image_only(const std::string& text, std::string_view command);

} // namespace vm2oci::cli
