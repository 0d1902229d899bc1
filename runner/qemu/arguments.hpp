// QEMU's command line as a pure function of what is booted and of the descriptors that the process inherits.
#pragma once

#include "runner/machine/spec.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// What the process finds open. Everything that QEMU talks to is an inherited descriptor: no socket and no temporary
// file ever has a name.
struct QemuDescriptors {
    int serial_input = 0; // the serial port's, which QEMU takes from no other numbers
    int serial_output = 1;
    int monitor = 3;
    int agent = 5;
    int disk = 6;
    int seed = 7;
    int firmware_variables = 8; // a private, writable copy
    int own_agent = 10;         // 9 is the picture's
    int vhost = 11;             // of vsock
    int kernel = 12;
    int initramfs = 13;
    int first_further_disk = 14; // and on, in their order
};

struct QemuInstallation {
    std::string binary = "qemu-system-x86_64";
    std::string firmware_code; // OVMF's code for UEFI; empty: BIOS
};

// How the guest reaches the host by vsock.
struct VsockAddress {
    std::uint32_t guest_cid = 0;
    std::uint32_t host_port = 0;
};

// Error{unsupported}: more disks than the bus takes. The first word is the binary. The machine does not run until the
// monitor says `cont`.
std::vector<std::string> qemu_arguments(const VmSpec& spec, Accelerator accelerator,
                                        const QemuInstallation& installation, const QemuDescriptors& descriptors = {},
                                        const std::optional<VsockAddress>& vsock = std::nullopt);

// OVMF as distributions install it.
struct FirmwareFiles {
    std::string code;
    std::string variables; // the template
};

// Candidates, best first; the caller takes the first pair that exists.
std::vector<FirmwareFiles> firmware_candidates(Firmware firmware);

// The first pair of the candidates that this machine has; empty files for BIOS, which QEMU brings along.
std::optional<FirmwareFiles> find_firmware(Firmware firmware);

} // namespace vm2oci
