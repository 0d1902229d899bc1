// Values of options. Checks are made while the command line is read: a wrong one is named with its option, and before
// any work.
#pragma once

#include <CLI/CLI.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::cli {

CLI::Validator size_value();     // as parse_size() takes it
CLI::Validator duration_value(); // as parse_duration() takes it

// Of "KEY=VALUE" each; the last one of a key counts. Error{usage} with the option's name.
std::map<std::string, std::string> parse_pairs(const std::vector<std::string>& texts, std::string_view option);

} // namespace vm2oci::cli
