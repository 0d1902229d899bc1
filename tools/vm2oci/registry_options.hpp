// The options of every command that speaks to a registry.
#pragma once

#include "libconvert/registry/open_registry.hpp"
#include "tools/flows/reference.hpp"

#include <CLI/App.hpp>

#include <memory>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct RegistryArguments {
    std::string tls_verify; // "", "true", "false"
    std::string auth_file;
    std::string certificate_folder;
    std::vector<std::string> mount_from;
    std::shared_ptr<registry::Connections> connections = registry::make_connections();

    registry::RegistryOptions options() const;
};

// Adds --tls-verify, --authfile and --cert-dir.
std::shared_ptr<RegistryArguments> add_registry_options(CLI::App& command);

// Adds --mount-from, for commands that write to a registry.
void add_mount_option(CLI::App& command, RegistryArguments& arguments);

// Error{usage}: repositories to mount from are said, and the destination is in no registry.
void refuse_mount_elsewhere(const std::vector<std::string>& mount_from, const Reference& destination);

} // namespace vm2oci::cli
