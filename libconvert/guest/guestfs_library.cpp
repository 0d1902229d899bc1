#include "libconvert/guest/guestfs_library.hpp"

#include "formats/base/error.hpp"

#include <dlfcn.h>

#include <string>

namespace vm2oci {
namespace {

template <class Function>
void resolve(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(library, name));
    if (function == nullptr)
        fail(ErrorKind::external, std::string("the libguestfs that is installed has no ") + name);
}

GuestfsLibrary load() {
    void* library = ::dlopen("libguestfs.so.0", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
        fail(ErrorKind::external,
             "this guest needs libguestfs, which is not installed; install the package libguestfs0");
    GuestfsLibrary functions;
#define VM2OCI_RESOLVE_FUNCTION(name) resolve(library, "guestfs_" #name, functions.name);
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
