// The guest on a disk, for people and for programs.
#pragma once

#include "formats/base/progress.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/inspect/guest_info.hpp"
#include "tools/vm2oci/page.hpp"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <vector>

namespace vm2oci::cli {

struct GuestFindings {
    OpenedGuest opened;
    GuestInfo info;
    // What would keep it from booting elsewhere, or from its network; nullopt: not looked for.
    std::optional<std::vector<BootProblem>> problems;
    std::string refusal; // why the disk's division cannot be read; empty: it was
};

struct GuestReading {
    GuestAccess access;
    LargeFiles large_files = LargeFiles::read;
};

// A partition table that is refused is told in the result.
GuestFindings examine_guest(const std::shared_ptr<const BlockDevice>& disk, const GuestReading& reading,
                            const OperationContext& operation);

void describe_guest(Page& page, const GuestFindings& findings);
nlohmann::ordered_json guest_to_json(const GuestFindings& findings);

} // namespace vm2oci::cli
