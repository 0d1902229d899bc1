// What a body's Error says, so that a table of hostile inputs names the sentence that each must get.
#pragma once

#include "formats/base/error.hpp"

#include <string>

namespace vm2oci::test {

// "corrupt: the sentence", without the hint; "accepted" where nothing is thrown.
template <class Body>
std::string refusal_of(Body&& body) {
    try {
        static_cast<void>(body());
    } catch (const Error& error) {
        return std::string(to_string(error.kind())) + ": " + error.what();
    }
    return "accepted";
}

} // namespace vm2oci::test
