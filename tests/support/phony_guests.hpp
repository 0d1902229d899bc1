// Phony guests by distribution and release: what installers, cloud images and VMware's images leave on disk as far as
// edits look at it. Programs are empty files, or the few bytes that tell an architecture.
#pragma once

#include "tests/support/memory_guest.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::test {

struct PhonyGuest {
    std::string name; // "debian 12 vmware"
    MemoryGuest guest;
};

// All of them. Those of VMware have a static address on their card and VMware's tools.
std::vector<PhonyGuest> phony_guests();
PhonyGuest phony_guest(std::string_view name);

} // namespace vm2oci::test
