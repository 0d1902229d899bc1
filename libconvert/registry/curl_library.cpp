#include "libconvert/registry/curl_library.hpp"

#include "formats/base/shared_library.hpp"

namespace vm2oci {
namespace {

CurlLibrary load() {
    const SharedLibrary library("libcurl.so.4", "libcurl4");
    CurlLibrary functions;
#define VM2OCI_RESOLVE_FUNCTION(name) library.resolve("curl_" #name, functions.name);
    VM2OCI_CURL_FUNCTIONS(VM2OCI_RESOLVE_FUNCTION)
#undef VM2OCI_RESOLVE_FUNCTION
    return functions;
}

} // namespace

const CurlLibrary& curl_library() {
    static const CurlLibrary functions = load();
    return functions;
}

} // namespace vm2oci
