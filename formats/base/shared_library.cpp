#include "formats/base/shared_library.hpp"

#include "formats/base/error.hpp"

#include <dlfcn.h>

#include <string>

namespace vm2oci {

SharedLibrary::SharedLibrary(const char* file, const char* package)
    : file_(file), handle_(::dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr)
        fail(ErrorKind::external, std::string(file) + " is not installed; install the package " + package);
}

void* SharedLibrary::find(const char* name) const {
    void* function = ::dlsym(handle_, name);
    if (function == nullptr)
        fail(ErrorKind::external, std::string(file_) + " has no function " + name + "; install a newer one");
    return function;
}

} // namespace vm2oci
