// The whole program but for main(): what tests call.
#pragma once

#include "formats/base/progress.hpp"

#include <iosfwd>
#include <string>
#include <vector>

namespace vm2oci::cli {

// Runs one command line (without the program's name); returns the process's exit code. Never throws.
int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err,
        const Cancellation& cancellation);

// SIGINT and SIGTERM set the returned cancellation; a second one ends the process at once. SIGPIPE is ignored.
const Cancellation& install_signal_handlers();

} // namespace vm2oci::cli
