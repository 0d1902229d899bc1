// What push and pull have in common: stored images from one reference to another.
#pragma once

#include "tools/flows/copy.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/registry_options.hpp"

#include <memory>
#include <string>

namespace vm2oci::cli {

struct CopyArguments {
    std::string source;
    std::string destination;
    std::string architecture;
    std::string against;
    std::string digest_file;
    bool all_tags = false;
    bool referrers = false;
    std::string reuse; // pull only
    unsigned parallel_blobs = kParallelBlobs;
    std::shared_ptr<RegistryArguments> registry;
};

// SOURCE and DEST with these descriptions, --arch, --all-tags, --referrers, --digest-file, --parallel and the
// registry's options.
void add_copy_options(CLI::App& command, CopyArguments& arguments, const std::string& source_description,
                      const std::string& destination_description);

// Copies, prints the result (text or JSON).
ExitCode run_copy(const CopyArguments& arguments, const ImageReference& source, const ImageReference& destination,
                  Invocation& call);

} // namespace vm2oci::cli
