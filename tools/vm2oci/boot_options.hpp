// The options of booting, and booting itself as `boot` and `convert --boot-test` do it.
#pragma once

#include "formats/block/block_device.hpp"
#include "runner/boot.hpp"
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
    std::string machine = "q35";
    std::string disk_bus = "virtio";
    std::string network_model = "virtio";
    std::string cpu;
    std::string memory = "1G";
    unsigned cpus = 2;
    std::string timeout;
    std::vector<std::string> ready;
    std::vector<std::string> fail;
    std::vector<std::string> expect;
    std::vector<std::string> ignore;
    std::vector<std::string> exec;
    std::string user_data;
    std::string meta_data;
    std::string network_config;
    std::string network = "none";
    std::vector<std::string> forward;
    bool console = false;
    std::string junit;
    std::string report;
};

std::shared_ptr<BootTestOptions> add_boot_test_options(CLI::App& command);

// Error{usage} when the options contradict each other or a value makes no sense.
VmSpec machine_spec(const BootTestOptions& options, std::shared_ptr<const BlockDevice> disk);
BootOptions boot_options(const BootTestOptions& options, const std::string& source);

// Boots, shows the progress, writes the reports, prints the verdict; done or verdict_no.
ExitCode boot_and_report(std::shared_ptr<const BlockDevice> disk, const std::string& source,
                         const BootTestOptions& options, Invocation& call);

} // namespace vm2oci::cli
