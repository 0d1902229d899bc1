// Changes through libguestfs, for file systems that are not written in this process: xfs, btrfs, FAT, logical volumes.
#pragma once

#include "formats/block/overlay.hpp"
#include "formats/tree/file_system_editor.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <cstdint>
#include <memory>

namespace vm2oci {

// One editor for the whole guest: paths are relative to its root. libguestfs gets the overlay as a raw disk over a unix
// socket, its format stated; what it writes lands in the overlay. Starting takes some seconds. Error{external} with
// libguestfs's own words.
std::unique_ptr<FileSystemEditor> open_appliance_editor(const OpenedGuest& opened,
                                                        const std::shared_ptr<OverlayDevice>& overlay,
                                                        std::int64_t time, const OperationContext& operation);

} // namespace vm2oci
