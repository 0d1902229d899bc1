// What changes need of a machine of ours: that it boots vm2oci's appliance on some volumes, and has it do a job.
//
// Whoever can run machines implements it; this room knows none. See formats/appliance for the job and the answer.
#pragma once

#include "formats/appliance/answer.hpp"
#include "formats/base/progress.hpp"
#include "formats/block/block_changes.hpp"
#include "formats/block/block_device.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct ApplianceVolume {
    std::shared_ptr<const BlockDevice> device; // whole sectors of 512 bytes; shows what is written to the changes
    std::shared_ptr<BlockChanges> changes;     // thread-safe
};

class ApplianceMachine {
  public:
    virtual ~ApplianceMachine() = default;

    // Why it cannot be started, with what to do; nullopt: it can. Cheap.
    virtual std::optional<std::string> obstacle() const = 0;
    // Runs one job, whose disk is `job`. The answer is of kind done or failed; its text is safe to print. After
    // anything but done the volumes hold anything. Error{external} when the machine did not do as it should, Error{io}
    // when a volume could not be read or written.
    virtual ApplianceAnswer run(const std::shared_ptr<const BlockDevice>& job,
                                const std::vector<ApplianceVolume>& volumes,
                                const OperationContext& operation) const = 0;
};

} // namespace vm2oci
