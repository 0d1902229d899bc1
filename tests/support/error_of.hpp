// The Error of a step that must fail.
#pragma once

#include "formats/base/error.hpp"

#include <catch2/catch.hpp>

#include <optional>

namespace vm2oci::test {

// The test fails if `step` throws none.
template <class Step>
Error error_of(Step&& step) {
    std::optional<Error> caught;
    try {
        step();
    } catch (const Error& error) {
        caught = error;
    }
    REQUIRE(caught);
    return *caught;
}

} // namespace vm2oci::test
