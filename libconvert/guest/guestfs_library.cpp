#include "libconvert/guest/guestfs_library.hpp"

#include "formats/base/shared_library.hpp"

namespace vm2oci {
namespace {

GuestfsLibrary load() {
    const SharedLibrary library("libguestfs.so.0", "libguestfs0");
    GuestfsLibrary functions;
#define VM2OCI_RESOLVE_FUNCTION(name) library.resolve("guestfs_" #name, functions.name);
    VM2OCI_GUESTFS_FUNCTIONS(VM2OCI_RESOLVE_FUNCTION)
#undef VM2OCI_RESOLVE_FUNCTION
    return functions;
}

} // namespace

const GuestfsLibrary& guestfs_library() {
    static const GuestfsLibrary functions = load();
    return functions;
}

} // namespace vm2oci
