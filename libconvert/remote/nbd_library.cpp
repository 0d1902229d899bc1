#include "libconvert/remote/nbd_library.hpp"

#include "formats/base/shared_library.hpp"

namespace vm2oci {
namespace {

NbdLibrary load_nbd_library() {
    const SharedLibrary library("libnbd.so.0", "libnbd0");
    NbdLibrary functions;
#define VM2OCI_RESOLVE_NBD_FUNCTION(name) library.resolve("nbd_" #name, functions.name);
    VM2OCI_NBD_FUNCTIONS(VM2OCI_RESOLVE_NBD_FUNCTION)
#undef VM2OCI_RESOLVE_NBD_FUNCTION
    return functions;
}

} // namespace

const NbdLibrary& nbd_library() {
    static const NbdLibrary functions = load_nbd_library();
    return functions;
}

} // namespace vm2oci
