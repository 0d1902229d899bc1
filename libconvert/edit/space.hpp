// Whether the guest's file systems have room for a plan, known before anything is written.
#pragma once

#include "libconvert/edit/plan.hpp"
#include "libconvert/guest/guest.hpp"

namespace vm2oci {

// Error{limit} when a file system surely has too few bytes or inodes left, in numbers. What is removed and replaced
// counts as free, by sizes and not by blocks, so that a plan that fits is never refused; one that just does not is told
// by the editor, which leaves nothing behind either.
void check_space(const EditPlan& plan, const Guest& guest);

} // namespace vm2oci
