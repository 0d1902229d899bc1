// Which of two kernels came later, by their names.
#pragma once

#include <string_view>

namespace vm2oci {

// Numbers compare as numbers, and a number comes after a letter (rpm's rpmvercmp, which GRUB's blscfg follows):
// "3.10.0-957.1.3.el7" after "3.10.0-957.el7". A strict weak order of texts such as "6.1.0-13-amd64".
bool is_newer_release(std::string_view a, std::string_view b);

} // namespace vm2oci
