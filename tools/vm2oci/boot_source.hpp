// What `boot` is given: a disk, an image with a disk, a bundle, or a disk and a kernel for it.
#pragma once

#include "formats/block/open_disk.hpp"
#include "tools/vm2oci/boot_options.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <CLI/App.hpp>

#include <memory>
#include <optional>
#include <string>

namespace vm2oci::cli {

// --kernel, --initrd and --append.
struct KernelOptions {
    std::string kernel;
    std::string initramfs;
    std::optional<std::string> command_line;
};

std::shared_ptr<KernelOptions> add_kernel_options(CLI::App& command);

struct BootSource {
    OpenedDisk disk;
    BootSubject subject;
    bool own_initramfs = false; // vm2oci's own init starts the guest, and can start the agent beside it
};

// Error{usage} when the options do not fit the source.
BootSource open_boot_source(const std::string& reference, const SourceOptions& source_options,
                            const KernelOptions& kernel_options, const OperationContext& operation);

// Makes the guest say what runs in it: vm2oci's agent is put into an overlay of the disk, or started by our initramfs.
void make_it_talk(BootSource& source, const OperationContext& operation);

} // namespace vm2oci::cli
