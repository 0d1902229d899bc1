// A NoCloud seed: the small disk labelled "cidata" that cloud-init takes its data from.
//
// ISO 9660 (ECMA-119) with a Joliet directory beside the primary one, so that Linux and Windows read the names as they
// are. The bytes depend on the files alone: no time, no tool's name, no random number is in them.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct SeedFiles {
    std::string user_data;
    std::string meta_data;
    std::optional<std::string> network_config;
    std::optional<std::string> vendor_data;
};

// "instance-id: …" that changes with the user-data, since cloud-init runs once for each instance-id.
std::string default_meta_data(const std::string& user_data);

std::vector<std::byte> make_seed_iso(const SeedFiles& files);

// The same as a disk.
std::shared_ptr<const BlockDevice> make_seed_disk(const SeedFiles& files);

} // namespace vm2oci
