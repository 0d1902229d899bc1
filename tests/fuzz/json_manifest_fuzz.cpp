// Documents of an image: whatever is accepted prints to a text that is accepted again and prints the same.
#include "formats/base/error.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/layout_index.hpp"

#include <cstdlib>
#include <string_view>

namespace {

template <class Parse>
void round_trip(std::string_view text, Parse parse) {
    try {
        const std::string printed = vm2oci::to_json(parse(text));
        if (vm2oci::to_json(parse(printed)) != printed)
            std::abort();
    } catch (const vm2oci::Error&) {
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    round_trip(text, vm2oci::parse_manifest);
    round_trip(text, vm2oci::parse_index);
    round_trip(text, vm2oci::parse_config);
    try {
        const vm2oci::Descriptor top{.media_type = vm2oci::media_type::oci_manifest, .digest = vm2oci::Digest::of("x")};
        const std::string index = vm2oci::layout_index_with(text, top, "tag");
        if (vm2oci::find_in_layout_index(index, "tag", "it").digest != top.digest)
            std::abort();
    } catch (const vm2oci::Error&) {
    }
    return 0;
}
