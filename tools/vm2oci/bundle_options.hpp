// What `vm2oci convert --as bundle` takes.
#pragma once

#include "tools/flows/convert.hpp"

#include <CLI/App.hpp>

#include <optional>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct BundleArguments {
    std::string kernel;                      // empty: the guest's, of a container image ours
    std::string initramfs;                   // empty: what the kernel needs
    std::optional<std::string> command_line; // may be empty: nothing besides the root
    std::string root = "qcow2";
    bool krun = false;
    bool verity = false;
};

void add_bundle_options(CLI::App& command, BundleArguments& arguments);

BundleRequest bundle_request(const BundleArguments& arguments);

// --agent kata-agent=FILE, taken out of the other agents; the file. Error{usage}: there is none.
std::string take_kata_agent(std::vector<std::string>& agents);

} // namespace vm2oci::cli
