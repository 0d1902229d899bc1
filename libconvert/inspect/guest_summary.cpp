#include "libconvert/inspect/guest_summary.hpp"

#include <string_view>
#include <utility>

namespace vm2oci {
namespace {

// What installers and images of distributions call every machine.
bool is_nobodys_name(std::string_view name) {
    return name.empty() || name == "(none)" || name.starts_with("localhost");
}

} // namespace

GuestSummary summarise_guest(const OpenedGuest& opened) {
    GuestSummary summary;
    if (!opened.guest)
        return summary;
    GuestInfo info = identify_guest(opened);
    const BootInfo boot = inspect_boot(opened);
    summary.os = std::move(info.os);
    summary.init = std::move(info.init);
    summary.firmware = boot.bios && boot.uefi ? "bios uefi" : boot.uefi ? "uefi" : boot.bios ? "bios" : "";
    if (!is_nobodys_name(summary.os.hostname))
        summary.machine = summary.os.hostname;
    return summary;
}

} // namespace vm2oci
