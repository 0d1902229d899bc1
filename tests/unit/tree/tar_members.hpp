// What the reader of tars makes of an archive, for its tests.
#pragma once

#include "formats/base/error.hpp"
#include "formats/tree/tar_reader.hpp"
#include "tests/support/memory_source.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

namespace vm2oci::test {

inline std::vector<TarMember> tar_members(const std::string& text) {
    const MemorySource source(text);
    TarReader reader(source);
    std::vector<TarMember> found;
    while (std::optional<TarMember> member = reader.next())
        found.push_back(std::move(*member));
    return found;
}

inline ErrorKind tar_refusal(const std::string& text) {
    try {
        tar_members(text);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("accepted");
    return ErrorKind::io;
}

} // namespace vm2oci::test
