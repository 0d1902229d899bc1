// Checks of option values, made while the command line is read: a wrong one is named with its option, and before any
// work.
#pragma once

#include <CLI/CLI.hpp>

namespace vm2oci::cli {

CLI::Validator size_value();     // as parse_size() takes it
CLI::Validator duration_value(); // as parse_duration() takes it

} // namespace vm2oci::cli
