// What is booted, from a reference: a disk, an image with a disk, a bundle, or a disk and a kernel for it.
#pragma once

#include "formats/base/progress.hpp"
#include "tools/flows/boot_subject.hpp"
#include "tools/flows/open_source.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace vm2oci {

enum class BootKernel {
    of_source, // a bundle's own; none for a disk
    minimal,   // vm2oci's
    file,
};

// A kernel that is booted directly, without firmware and boot loader.
struct KernelRequest {
    BootKernel kernel = BootKernel::of_source;
    std::filesystem::path file;                     // BootKernel::file
    std::optional<std::filesystem::path> initramfs; // of that kernel
    std::optional<std::string> command_line;        // what it is told; a bundle brings its own
};

// How much of an image's content is held against its digests before it is booted.
enum class ContentCheck { parts, whole };

struct BootSourceRequest {
    std::string name; // of the reference, as the user wrote it
    Reference reference;
    SourceRequest source;
    ContentCheck check = ContentCheck::parts;
    KernelRequest kernel;
};

struct BootSource {
    BootSubject subject;
    bool own_initramfs = false; // vm2oci's own init starts the guest, and can start the agent beside it
};

// QEMU's machines are of this one, whatever runs them.
inline constexpr const char* kBootedArchitecture = "amd64";
// Error{unsupported}: an image is for another one; "": it does not say.
void require_booted_architecture(const std::string& architecture);

// Error{usage} when the kernel does not fit the source. That content is not verified is a note of the operation.
BootSource open_boot_source(const BootSourceRequest& request, const OperationContext& operation);

// vm2oci's init starts the agent beside the guest, which runs commands; only where it is the init.
void start_agent_inside(BootSource& source);

// Makes the guest say what runs in it: vm2oci's agent is put into an overlay of the disk, or started by our initramfs.
void add_own_agent(BootSource& source, const OperationContext& operation);

} // namespace vm2oci
