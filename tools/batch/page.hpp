// A batch as one self-contained page: no script, no resource from elsewhere, readable in light, dark and print.
#pragma once

#include "tools/batch/item.hpp"

#include <string>

namespace vm2oci {

// What became of each machine, why the failed ones failed and what to do, and pictures of sizes and times.
std::string batch_page(const BatchResult& result);

} // namespace vm2oci
