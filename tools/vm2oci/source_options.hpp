// The options of every command that reads a disk, and how it reads them.
#pragma once

#include "tools/flows/boot_source.hpp"
#include "tools/flows/open_source.hpp"
#include "tools/vm2oci/registry_options.hpp"

#include <CLI/App.hpp>

#include <memory>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct SourceOptions {
    std::vector<std::string> backing;
    std::vector<std::string> data_files;
    std::vector<std::string> disks;
    std::string authorities;
    std::vector<std::string> extents;
    std::string max_virtual_size;
    bool allow_corrupt = false;
    bool allow_truncated = false;
    bool allow_in_use = false;
    bool verify = false; // of commands with add_verify_option()
    std::shared_ptr<RegistryArguments> registry = std::make_shared<RegistryArguments>();

    // Error{usage} when a value makes no sense.
    SourceRequest request() const;
    ContentCheck check() const { return verify ? ContentCheck::whole : ContentCheck::parts; }
};

// Adds --disk, --ca, --backing, --data-file, --extent, --max-virtual-size, --allow-corrupt, --allow-truncated and
// --allow-in-use, and the registry's options.
std::shared_ptr<SourceOptions> add_source_options(CLI::App& command);

// Adds --verify, for commands that read an image in parts.
void add_verify_option(CLI::App& command, SourceOptions& options);

} // namespace vm2oci::cli
