// A guest in a few words.
#pragma once

#include "libconvert/inspect/guest_info.hpp"

#include <string>

namespace vm2oci {

// Values are raw bytes of the guest; empty: not known.
struct GuestSummary {
    OsInfo os;
    std::string init;     // "systemd", "openrc", …
    std::string firmware; // "bios", "uefi", "bios uefi": what the disk can be started by
    std::string machine;  // its name, if it has one of its own
};

// Reads a few small files and the ESP's folders; what cannot be read stays empty. Throws only what the disk throws.
GuestSummary summarise_guest(const OpenedGuest& opened);

} // namespace vm2oci
