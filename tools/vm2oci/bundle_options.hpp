// What `vm2oci convert --as bundle` takes, and what it says of its result.
#pragma once

#include "libconvert/bundle/bundle.hpp"
#include "libconvert/bundle/kata.hpp"
#include "libconvert/bundle/unpack.hpp"
#include "tools/vm2oci/command_table.hpp"

#include <CLI/App.hpp>

#include <string>
#include <vector>

namespace vm2oci::cli {

struct BundleArguments {
    std::string kernel = "guest";
    std::string initramfs; // empty: what the kernel needs
    std::string command_line;
    std::string root = "qcow2";
    bool krun = false;
};

void add_bundle_options(CLI::App& command, BundleArguments& arguments);

// Which kernel and initramfs, and how the root is kept. Error{usage} for values that make no sense; Error{not_found} if
// a file of ours is not installed. `architecture` is the one that --arch names, or the machine's.
BundleOptions bundle_options(const BundleArguments& arguments, const std::string& architecture);

// --agent kata-agent=FILE, taken out of the other agents; the file. Error{usage}: there is none.
std::string take_kata_agent(std::vector<std::string>& agents);

// To standard output, for people or as JSON.
void print_bundle(const PreparedBundle& bundle, const BundleImage& image, const std::string& destination,
                  Invocation& call);

// DEST of a bundle that is no disk reference: a folder for its files. Error{usage} for what looks like a disk's name.
void check_bundle_folder(const std::string& destination);
void print_kata(const KataReport& report, const std::string& destination, Invocation& call);
void print_unpacked(const UnpackedBundle& bundle, const std::string& destination, Invocation& call);

} // namespace vm2oci::cli
