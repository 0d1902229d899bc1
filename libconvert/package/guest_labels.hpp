// What an image says of the guest in it, without anybody opening the disk.
#pragma once

#include "libconvert/inspect/guest_summary.hpp"
#include "libconvert/package/image_assembly.hpp"

namespace vm2oci {

// Labels "org.vm2oci.guest.…" and annotations of the same names; the title is the machine's name, else its product's,
// else what it was. Escaped.
void add_guest_labels(const GuestSummary& guest, ImageContents& contents);

} // namespace vm2oci
