// The exit codes that scripts rely on.
#pragma once

#include "formats/base/error.hpp"

namespace vm2oci::cli {

enum class ExitCode {
    done = 0,
    failed = 1,      // I/O, network, a tool that is needed
    usage = 2,       // the command line is wrong
    refused = 3,     // the input is corrupt, unsafe, unsupported or over a limit
    verdict_no = 4,  // it worked, and the verdict is no
    cancelled = 130, // stopped by SIGINT or SIGTERM, as shells write it
};

ExitCode exit_code_for(ErrorKind kind);

} // namespace vm2oci::cli
