// Boots a disk or an image in QEMU, and judges whether it comes up.
#pragma once

#include <vm2oci/boot_report.hpp>
#include <vm2oci/edits.hpp>
#include <vm2oci/error.hpp>
#include <vm2oci/operation.hpp>
#include <vm2oci/source.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::v0 {

enum class Acceleration { automatic, kvm, tcg };
enum class BootFirmware { automatic, bios, uefi, uefi_secure };

// What is not said is what the guest or its disk asks for.
struct BootRequest {
    Acceleration acceleration = Acceleration::automatic;
    BootFirmware firmware = BootFirmware::automatic;
    std::string root; // as GuestAccess::root
    std::optional<std::uint64_t> memory;
    std::optional<unsigned> cpus;
    std::optional<std::uint64_t> timeout_ms; // until it is ready
    // "login", "agent", "cloud-init", "systemd" or a regular expression for a line of the console; all must come.
    std::vector<std::string> ready;
    std::vector<std::string> expect;     // lines that must come; regular expressions
    std::vector<std::string> fail;       // lines that must not
    std::vector<std::string> ignore;     // ids of rules that become remarks
    std::vector<std::string> commands;   // to run inside by an agent; each must end with 0
    bool user_network = false;           // outgoing connections
    std::filesystem::path junit;         // empty: none
    std::filesystem::path report_folder; // empty: none
};

// The verdict is in the report; Error is for what keeps the machine from being judged at all.
VM2OCI_API BootReport boot(const std::string& source, const BootRequest& request,
                           const SourceOptions& source_options = {}, const Operation& operation = {});

} // namespace vm2oci::v0
