// Every kind of edit, asked of phony guests, and what a guest is after it.
#pragma once

#include "libconvert/edit/plan_edits.hpp"
#include "tests/support/phony_guests.hpp"

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace vm2oci::test {

struct PhonyEdit {
    std::string name; // "fix network"
    std::function<EditRequest(const MemoryGuest&)> make;
};

const std::vector<PhonyEdit>& phony_edits();
// On a disk whose first partition is the root, and whose second is for swap.
EditPlan plan_phony_edit(const MemoryGuest& guest, const EditRequest& request);
MemoryGuest with_edits(MemoryGuest guest, const EditPlan& plan);

} // namespace vm2oci::test
