#include "formats/base/version.hpp"

namespace vm2oci {

std::string_view version() {
    return VM2OCI_VERSION;
}

} // namespace vm2oci
