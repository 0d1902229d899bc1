// The guest on a disk, for the steps of one command: the only place where a conversion opens it.
#pragma once

#include "formats/block/disk_view.hpp"
#include "libconvert/edit/edit_disk.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

class GuestSession {
  public:
    // `time`: what changed files bear. `operation` outlives the session.
    GuestSession(DiskView disk, GuestAccess access, std::int64_t time, const OperationContext& operation);

    // The disk as it is now.
    const DiskView& view() const { return view_; }
    // The guest on it, opened when it is first asked for and when the disk has changed since. An appliance is started
    // at most once: it sees what is changed by its own writes.
    const OpenedGuest& guest();

    // An appliance that reads the guest need not live on; guest() opens it again.
    void close();

    // As grow_guest(), of the first disk of the machine, by what lies on it alone; its remarks.
    std::vector<std::string> grow(std::uint64_t size);
    // As edit_disk().
    EditReport edit(const EditRequest& request, EditMode mode);
    // As report_unchanged().
    EditReport look() const;
    // As sparsify(); its remarks.
    std::vector<std::string> leave_out_unused();

  private:
    DiskView view_;
    // The disk that the appliance sees, if one runs: `view_`, or what lies below its last mask.
    std::shared_ptr<const BlockDevice> seen() const;

    GuestAccess access_; // with the appliance that runs, and the overlay that it writes to
    std::int64_t time_;
    const OperationContext& operation_;
    std::optional<OpenedGuest> opened_;
};

} // namespace vm2oci
