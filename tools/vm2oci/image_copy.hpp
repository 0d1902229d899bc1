// What push and pull have in common: stored images from one reference to another.
#pragma once

#include "libconvert/copy/copy_image.hpp"
#include "tools/flows/open_source.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/registry_options.hpp"

#include <memory>
#include <string>
#include <vector>

namespace vm2oci::cli {

struct CopyArguments {
    std::string source;
    std::string destination;
    std::string architecture;
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

// Copies, prints the result (text or JSON), writes the digest file last.
ExitCode run_copy(const CopyArguments& arguments, const ImageReference& source, const ImageReference& destination,
                  Invocation& call);

// Blobs need not travel between repositories of one registry: those of `sources` are added to what is mounted from.
void mount_from_sources(registry::RegistryOptions& options, const std::vector<ImageReference>& sources,
                        const ImageReference& destination);

// The tags that a reference's store has; the reference must not name one itself (Error{usage}).
std::vector<std::string> tags_of(const ImageReference& reference, const std::string& written,
                                 const registry::RegistryOptions& options, const OperationContext& operation);

// FILE gets `text`, all or nothing.
void write_small_file(const std::string& path, const std::string& text);

} // namespace vm2oci::cli
