// What is in the shared library comes from the archives; a library needs a source of its own.
#include <vm2oci/version.hpp>
