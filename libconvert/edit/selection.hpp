// Lists of names with a default set, as --sysprep and --fix take them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// "" or "default": the default set; "all"; "none"; "a,b": these only; "+a,-b": the default set with a and without b.
// The result is in the order of `all`. Error{usage} that names `option` for a name that is none, or for a mixture.
std::vector<std::string> select_names(std::string_view list, const std::vector<std::string>& all,
                                      const std::vector<std::string>& defaults, std::string_view option);

} // namespace vm2oci
