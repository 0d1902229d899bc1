// The options of booting, as `boot` and `convert --boot-test` have them, and what they say of its result.
#pragma once

#include "tools/flows/boot.hpp"
#include "tools/vm2oci/command_table.hpp"

#include <CLI/App.hpp>

#include <memory>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct BootTestOptions {
    std::string accelerator = "auto";
    std::string backend = "auto";
    std::string firmware = "auto";
    std::string machine = "auto";
    std::string disk_bus = "auto";
    std::string network_model = "auto";
    std::string cpu;
    std::string memory;           // empty: as the machine is described, else 1G
    std::optional<unsigned> cpus; // none: the same, else 2
    std::string timeout;
    std::vector<std::string> ready;
    std::vector<std::string> fail;
    std::vector<std::string> expect;
    std::vector<std::string> ignore;
    std::vector<std::string> exec;
    std::string user_data;
    std::string meta_data;
    std::string network_config;
    std::string vendor_data;
    std::string network = "none";
    std::vector<std::string> forward;
    bool console = false;
    std::string junit;
    std::string report;

    // Reads the files of the seed. Error{usage} when the options contradict each other or a value makes no sense.
    BootRequest request() const;
};

// --user-data and its like, as a seed for one boot.
enum class SeedOptions { offered, left_out };

std::shared_ptr<BootTestOptions> add_boot_test_options(CLI::App& command, SeedOptions seed);
// What of these a machine needs that is not judged: accelerator, memory, processors and network.
std::shared_ptr<BootTestOptions> add_machine_options(CLI::App& command);

// --kernel, --initrd and --append.
std::shared_ptr<KernelRequest> add_kernel_options(CLI::App& command);

// Boots in QEMU, and shows it at the terminal.
BootMachine boot_at_terminal(Invocation& call);
// The verdict for people.
void print_verdict(const BootReport& report, Invocation& call);
// done, verdict_no or cancelled.
ExitCode boot_exit_code(const BootReport& report, const BootRequest& request);

} // namespace vm2oci::cli
