// What `vm2oci convert --as bundle` takes, and what it says of its result.
#pragma once

#include "libconvert/bundle/bundle.hpp"
#include "libconvert/bundle/kata.hpp"
#include "libconvert/bundle/unpack.hpp"
#include "tools/vm2oci/command_table.hpp"

#include <CLI/App.hpp>

#include <filesystem>
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

// In the folder of vm2oci's own kernel. Micro-VMs load vmlinux beside it; QEMU and KubeVirt take this one, a bzImage or
// an arm64 Image, and so does an image.
inline constexpr const char* kMinimalKernel = "vmlinuz";
// That folder, for an architecture by its OCI name. Error{not_found}, with what to do, if it is not installed.
std::filesystem::path minimal_kernel_folder(const std::string& architecture);

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
