#include "libconvert/hardware/hardware.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <charconv>

namespace vm2oci {

std::string_view to_string(MachineFirmware firmware) {
    return firmware == MachineFirmware::bios ? "bios" : "uefi";
}

std::string_view to_string(ControllerKind kind) {
    switch (kind) {
    case ControllerKind::ide:
        return "ide";
    case ControllerKind::scsi:
        return "scsi";
    case ControllerKind::sata:
        return "sata";
    case ControllerKind::nvme:
        return "nvme";
    case ControllerKind::virtio:
        return "virtio";
    case ControllerKind::usb:
        return "usb";
    case ControllerKind::floppy:
        return "floppy";
    }
    return "";
}

void check_machine(const MachineHardware& hardware) {
    if (hardware.cpus == 0U || hardware.memory == std::uint64_t{0} || hardware.cores_per_socket == 0U)
        fail(ErrorKind::corrupt, "the machine's description gives it no processor, or no memory");
    if (hardware.cpus.value_or(1) > kMaxMachineCpus || hardware.cores_per_socket.value_or(1) > kMaxMachineCpus)
        fail(ErrorKind::limit, fmt::format("the machine's description gives it {} processors, and the limit is {}",
                                           hardware.cpus.value_or(0), kMaxMachineCpus));
    if (hardware.memory.value_or(1) > kMaxMachineMemory)
        fail(ErrorKind::limit, fmt::format("the machine's description gives it {} of memory, and the limit is {}",
                                           format_size(*hardware.memory), format_size(kMaxMachineMemory)));
    for (const std::size_t count : {hardware.controllers.size(), hardware.disks.size(), hardware.nics.size()})
        if (count > kMaxMachineDevices)
            fail(ErrorKind::limit,
                 fmt::format("the machine's description gives it more than {} devices of a kind", kMaxMachineDevices));
}

std::uint64_t machine_number(std::string_view text, std::string_view what) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
        fail(ErrorKind::corrupt, fmt::format("{} is {}, which is no number", what, quote_untrusted(text)));
    return number;
}

std::string normal_mac(std::string_view text) {
    constexpr std::size_t digits = 12;
    std::string hex;
    for (const char c : text) {
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))
            hex += c;
        else if (c >= 'A' && c <= 'F')
            hex += static_cast<char>(c - 'A' + 'a');
        else if (c != ':' && c != '-' && c != '.')
            return "";
    }
    if (hex.size() != digits)
        return "";
    std::string mac;
    for (std::size_t i = 0; i < digits; i += 2)
        mac += (i == 0 ? "" : ":") + hex.substr(i, 2);
    return mac;
}

} // namespace vm2oci
