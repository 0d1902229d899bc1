// The options of every command that reads a guest's files.
#pragma once

#include "libconvert/guest/open_guest.hpp"

#include <CLI/App.hpp>

#include <memory>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct GuestOptions {
    std::string backend = "auto";
    std::vector<std::string> keys;
    std::string root;

    // Reads the files of the keys. Error{usage} when a value makes no sense.
    GuestAccess access() const;
};

// Adds --root-partition alone.
void add_root_option(CLI::App& command, std::string& root);

// Adds --guest-backend, --key and --root-partition.
std::shared_ptr<GuestOptions> add_guest_options(CLI::App& command);

} // namespace vm2oci::cli
