// libnbd, loaded when the first server is spoken to: it brings a TLS library along.
#pragma once

#include <libnbd.h>

// The functions that we call, without their prefix nbd_.
#define VM2OCI_NBD_FUNCTIONS(FUNCTION)                                                                                 \
    FUNCTION(add_meta_context)                                                                                         \
    FUNCTION(aio_block_status)                                                                                         \
    FUNCTION(aio_command_completed)                                                                                    \
    FUNCTION(aio_connect_uri)                                                                                          \
    FUNCTION(aio_is_closed)                                                                                            \
    FUNCTION(aio_is_connecting)                                                                                        \
    FUNCTION(aio_is_dead)                                                                                              \
    FUNCTION(aio_is_ready)                                                                                             \
    FUNCTION(aio_pread)                                                                                                \
    FUNCTION(can_meta_context)                                                                                         \
    FUNCTION(can_multi_conn)                                                                                           \
    FUNCTION(close)                                                                                                    \
    FUNCTION(create)                                                                                                   \
    FUNCTION(get_block_size)                                                                                           \
    FUNCTION(get_error)                                                                                                \
    FUNCTION(get_size)                                                                                                 \
    FUNCTION(get_strict_mode)                                                                                          \
    FUNCTION(poll)                                                                                                     \
    FUNCTION(set_strict_mode)                                                                                          \
    FUNCTION(set_uri_allow_local_file)                                                                                 \
    FUNCTION(set_uri_allow_transports)

namespace vm2oci {

struct NbdLibrary {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a declared name takes none
#define VM2OCI_DECLARE_NBD_FUNCTION(name) decltype(&nbd_##name) name = nullptr;
    VM2OCI_NBD_FUNCTIONS(VM2OCI_DECLARE_NBD_FUNCTION)
#undef VM2OCI_DECLARE_NBD_FUNCTION
};

// The same object each time; thread-safe. Error{external} when libnbd is not installed.
const NbdLibrary& nbd_library();

} // namespace vm2oci
