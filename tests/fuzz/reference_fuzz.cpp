// References: what is accepted prints to a text that means the same.
#include "formats/base/error.hpp"
#include "formats/oci/reference.hpp"

#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const auto reference = vm2oci::parse_image_reference({reinterpret_cast<const char*>(data), size});
        if (reference && vm2oci::parse_image_reference(vm2oci::to_string(*reference)) != reference)
            std::abort();
    } catch (const vm2oci::Error&) {
    }
    return 0;
}
