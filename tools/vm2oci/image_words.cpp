#include "tools/vm2oci/image_words.hpp"

#include "formats/base/error.hpp"
#include "tools/flows/reference.hpp"

#include <fmt/format.h>

namespace vm2oci::cli {

ImageReference parse_image_only(const std::string& text, std::string_view command) {
    const Reference reference = parse_reference(text);
    if (const auto* image = std::get_if<ImageReference>(&reference))
        return *image;
    fail(ErrorKind::usage, fmt::format("{} takes an image, and '{}' is a disk; write it like oci:images:web01 or "
                                       "docker://registry.example/team/web01:v1",
                                       command, text));
}

} // namespace vm2oci::cli
