// What is booted.
#pragma once

#include "formats/block/block_device.hpp"
#include "libconvert/guest/open_guest.hpp"
#include "libconvert/hardware/hardware.hpp"
#include "runner/boot.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// What tells that a subject is up, where nobody says it.
enum class SubjectKind {
    guest,             // an operating system: what it asks for
    container,         // vm2oci's init starts the program
    checked_container, // its health check has passed, too
};

struct BootSubject {
    std::string name; // for the report: the reference as the user wrote it
    std::shared_ptr<const BlockDevice> disk;
    std::vector<std::shared_ptr<const BlockDevice>> further_disks{}; // of the same machine, behind `disk`
    std::optional<MachineHardware> hardware{};                       // none: nothing describes it
    std::shared_ptr<const BlockDevice> seed{};                       // a second disk; may be null
    std::optional<DirectKernel> kernel{};                            // of a bundle, or one that was named
    FactsChoice facts = FactsChoice::leave;
    SubjectKind kind = SubjectKind::guest;
};

// All disks of the machine, one behind another, as open_guest() takes them: `access` learns of their sizes.
std::shared_ptr<const BlockDevice> joined_disks(const BootSubject& subject, GuestAccess& access);

} // namespace vm2oci
