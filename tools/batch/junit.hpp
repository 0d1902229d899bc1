// A batch as a JUnit XML file: one test case for each machine, readable by the usual CI systems.
#pragma once

#include "tools/batch/item.hpp"

#include <string>

namespace vm2oci {

// A machine that could not be made is an "error", one that was made and did not come up a "failure", and one that was
// not begun "skipped".
std::string batch_junit(const BatchResult& result);

} // namespace vm2oci
