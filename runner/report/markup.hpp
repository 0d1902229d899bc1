// Text of a guest inside XML and HTML.
#pragma once

#include <string>
#include <string_view>

namespace vm2oci {

// Markup characters become entities; bytes that are not UTF-8 and characters that XML 1.0 forbids become U+FFFD. Line
// feeds and tabs stay.
std::string markup_text(std::string_view raw);

} // namespace vm2oci
