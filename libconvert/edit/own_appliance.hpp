// Plans that vm2oci's appliance carries out: a kernel and a program of ours, in a machine that sees the volumes alone.
#pragma once

#include "libconvert/edit/apply.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// Why the plan cannot be carried out so; nullopt: it can.
std::optional<std::string> own_appliance_obstacle(const EditPlan& plan, const OpenedGuest& opened,
                                                  const std::vector<GuestMount>& mounts, const GuestAccess& access);

// Carries it out, where there is no obstacle. Each volume that the plan touches is a disk of the machine: what lies
// below it, tables of partitions and metadata of volumes, the machine neither sees nor needs.
void apply_by_own_appliance(const EditPlan& plan, const OpenedGuest& opened, const std::vector<GuestMount>& mounts,
                            const std::shared_ptr<OverlayDevice>& overlay, const ApplyOptions& options,
                            const OperationContext& operation);

// Why the appliance cannot be started for anything; nullopt: it can.
std::optional<std::string> own_appliance_missing(const GuestAccess& access);

// Whether the appliance makes a file system of that type fill its volume.
bool own_appliance_grows(std::string_view type);

// Has the file system on a volume fill it. `volume` was found on `overlay`, which takes the changes.
void grow_by_own_appliance(const Volume& volume, const std::shared_ptr<OverlayDevice>& overlay,
                           const GuestAccess& access, const OperationContext& operation);

} // namespace vm2oci
