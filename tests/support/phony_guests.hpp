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

// All of them: as installed ("debian 12", with a static address on the card), as cloud images ("debian 12 cloud"), and
// as installed under VMware ("debian 12 vmware").
std::vector<PhonyGuest> phony_guests();
// An installed guest with what VMware's installers and open-vm-tools' packages leave in it, and disks by their names.
PhonyGuest as_vmware_keeps_it(PhonyGuest made);
PhonyGuest phony_guest(std::string_view name);

} // namespace vm2oci::test
