// libcurl, loaded when the first registry is spoken to: it brings some thirty libraries along, some of which read files
// of their own as soon as they are loaded.
#pragma once

#include <curl/curl.h>

// The functions that we call, without their prefix curl_.
#define VM2OCI_CURL_FUNCTIONS(FUNCTION)                                                                                \
    FUNCTION(easy_cleanup)                                                                                             \
    FUNCTION(easy_getinfo)                                                                                             \
    FUNCTION(easy_init)                                                                                                \
    FUNCTION(easy_perform)                                                                                             \
    FUNCTION(easy_reset)                                                                                               \
    FUNCTION(easy_setopt)                                                                                              \
    FUNCTION(easy_strerror)                                                                                            \
    FUNCTION(free)                                                                                                     \
    FUNCTION(getdate)                                                                                                  \
    FUNCTION(global_init)                                                                                              \
    FUNCTION(slist_append)                                                                                             \
    FUNCTION(slist_free_all)                                                                                           \
    FUNCTION(url)                                                                                                      \
    FUNCTION(url_cleanup)                                                                                              \
    FUNCTION(url_get)                                                                                                  \
    FUNCTION(url_set)

namespace vm2oci {

struct CurlLibrary {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a declared name takes none
#define VM2OCI_DECLARE_FUNCTION(name) decltype(&curl_##name) name = nullptr;
    VM2OCI_CURL_FUNCTIONS(VM2OCI_DECLARE_FUNCTION)
#undef VM2OCI_DECLARE_FUNCTION
};

// The same object each time; thread-safe. Error{external} when libcurl is not installed.
const CurlLibrary& curl_library();

} // namespace vm2oci
