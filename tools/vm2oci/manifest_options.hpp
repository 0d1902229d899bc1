// The options of `manifest`, and what they ask for.
#pragma once

#include "tools/flows/manifest.hpp"

#include <CLI/App.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct ManifestOptions {
    std::string target = "kubevirt";
    std::string image;
    std::string name;
    std::string namespace_;
    std::optional<unsigned> cpus;
    std::string memory;
    std::string firmware = "auto";
    std::string disk_bus = "auto";
    std::string nic = "auto";
    std::string instance_type;
    std::string preference;
    std::vector<std::string> networks;
    std::string user_data;
    std::string network_config;
    std::vector<std::string> ssh_keys;
    std::string seed_form = "auto";
    std::string pull_secret;

    // Reads the files of the seed. Error{usage} when the options contradict each other or a value makes no sense.
    ManifestWishes wishes() const;
};

std::shared_ptr<ManifestOptions> add_manifest_options(CLI::App& command);

// "kubevirt, kata, …"
std::string manifest_target_names();

} // namespace vm2oci::cli
