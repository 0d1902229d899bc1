#include "tools/vm2oci/source_options.hpp"

#include "libconvert/source/proven_layers.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/option_values.hpp"

#include <CLI/CLI.hpp>

namespace vm2oci::cli {

SourceRequest SourceOptions::request() const {
    SourceRequest source;
    for (const std::string& word : backing)
        add_backing(source, word);
    for (const std::string& word : data_files)
        add_data_file(source, word);
    for (const std::string& word : extents)
        add_extent(source, word);
    if (!max_virtual_size.empty())
        source.policy.max_virtual_size = parse_size(max_virtual_size);
    source.policy.corrupt_bit = allow_corrupt ? Tolerance::allow : Tolerance::refuse;
    source.policy.in_use = allow_in_use ? Tolerance::allow : Tolerance::refuse;
    source.policy.truncation = allow_truncated ? Tolerance::allow : Tolerance::refuse;
    source.registry = registry->options();
    source.disks = disks;
    if (!authorities.empty())
        source.authorities = authorities;
    source.layer_cache = user_layer_cache();
    return source;
}

std::shared_ptr<SourceOptions> add_source_options(CLI::App& command) {
    auto options = std::make_shared<SourceOptions>();
    command
        .add_option("--backing", options->backing,
                    "The backing file or parent of a disk, which is never opened by the name in the image; repeat for "
                    "a chain, nearest first; with a number, that disk of the machine's (2=PATH)")
        ->option_text("PATH[:FORMAT]")
        ->allow_extra_args(false)
        ->group(group::source);
    command.add_option("--data-file", options->data_files, "The external data file of a qcow2, in the same way")
        ->option_text("PATH")
        ->allow_extra_args(false)
        ->group(group::source);
    command
        .add_option("--extent", options->extents,
                    "A file that holds a part of a VMDK, which is not opened by the name in its descriptor; repeat for "
                    "more; in the same way")
        ->option_text("PATH")
        ->allow_extra_args(false)
        ->group(group::source);
    command.add_option("--max-virtual-size", options->max_virtual_size, "Refuse larger disks (default: 2T)")
        ->check(size_value())
        ->option_text("SIZE")
        ->group(group::source);
    command.add_flag("--allow-corrupt", options->allow_corrupt, "Read a qcow2 that is marked corrupt")
        ->group(group::source);
    command
        .add_flag("--allow-truncated", options->allow_truncated,
                  "Read what lies beyond the end of a cut-off file as zeros")
        ->group(group::source);
    command
        .add_flag("--allow-in-use", options->allow_in_use,
                  "Read a disk that a running QEMU, or a mount, may be writing to")
        ->group(group::source);
    command
        .add_option("--disk", options->disks,
                    "A further disk of the same machine (repeatable); of an OVA or OVF the one disk that is wanted, by "
                    "number, id or file; of a described machine that, or the file of one of its disks")
        ->option_text("DISK")
        ->allow_extra_args(false)
        ->group(group::source);
    command
        .add_option("--ca", options->authorities,
                    "Certificates in PEM: take an OVA or OVF only if one of them vouches for its signature")
        ->option_text("FILE")
        ->group(group::source);
    options->registry = add_registry_options(command);
    return options;
}

void add_verify_option(CLI::App& command, SourceOptions& options) {
    command
        .add_flag("--verify", options.verify,
                  "Read an image's layers whole first, and hold them against their digests; else only parts are read")
        ->group(group::source);
}

} // namespace vm2oci::cli
