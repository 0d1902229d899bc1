// The documents that commands print for programs: one form for all of them.
//
// Each says the version of its form. What is added to a form leaves the version as it is, so readers take members that
// they do not know; what is taken away or means something else raises it. tools/schema describes the forms.
#pragma once

#include "formats/base/hint.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace vm2oci {

// The document of these members: with its version in front, as text that ends with a newline. Bytes that are no UTF-8
// are replaced.
std::string document_text(const nlohmann::ordered_json& members);

// {"kind", "argument"}; null for none.
nlohmann::ordered_json hint_to_json(const Hint& hint);

} // namespace vm2oci
