#include "formats/block/refusals.hpp"

namespace vm2oci {

bool is_refusal(const Error& error) {
    switch (error.kind()) {
    case ErrorKind::corrupt:
    case ErrorKind::unsupported:
    case ErrorKind::unsafe:
    case ErrorKind::limit:
        return true;
    default:
        return false;
    }
}

} // namespace vm2oci
