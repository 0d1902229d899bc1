// Hints in the words of the command line.
#pragma once

#include "formats/base/hint.hpp"

#include <string>
#include <string_view>

namespace vm2oci::cli {

// "give it with --data-file PATH"; empty where there is no hint.
std::string words_of(const Hint& hint);

// The text with the hint's words behind it, after a semicolon.
std::string with_words(std::string_view text, const Hint& hint);

// What the command line has for a rule of the judge: "--memory SIZE"; empty: nothing.
std::string_view option_for_rule(std::string_view rule);

} // namespace vm2oci::cli
