// What the standard library throws where the operating system refuses something, as an Error.
#pragma once

#include "formats/base/error.hpp"

#include <system_error>

namespace vm2oci {

// Error{io}: the folder or the thread that could not be had, and why.
Error refused_by_system(const std::system_error& error);

} // namespace vm2oci
