// A container image as a bundle: vm2oci's kernel, its init with what the image says is to be started, and the image's
// files as the root.
#pragma once

#include "formats/container/program.hpp"
#include "libconvert/bundle/bundle.hpp"
#include "libconvert/container/image_program.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace vm2oci {

enum class AgentInside { no, yes };

struct ContainerBundleOptions {
    std::filesystem::path kernel_file;
    KernelOrigin kernel = KernelOrigin::minimal; // or a file, with virtio and the root's file system built in
    std::filesystem::path own_init;
    std::string command_line; // words besides those that name the root
    BundleRootKind root = BundleRootKind::disk;
    KrunSupport krun = KrunSupport::no;
    RootProof proof = RootProof::none; // with erofs
    DiskOutput disk;                   // qcow2 or raw
    ProgramWishes program;
    AgentInside agent = AgentInside::no; // vm2oci's, so that commands can be run inside
    std::int64_t time = 0;
};

// image.config and image.verifier are there. Layers are read whole; call image.verifier->finish() before the bundle is
// published. Errors as ContainerFiles, program_of_image() and make_container_root() have them; Error{unsupported}: a
// kernel for another architecture.
PreparedBundle prepare_container_bundle(ImageSource& source, const ImageContent& image,
                                        const ContainerBundleOptions& options, const OperationContext& operation);

// vm2oci's initramfs for a program.
std::string container_initramfs(const std::filesystem::path& own_init, const ContainerProgram& program);
// The program in such an initramfs, and the same initramfs with another one. Error{corrupt}: it is none of ours.
ContainerProgram program_of_initramfs(std::string_view initramfs);
std::string with_program(std::string initramfs, const ContainerProgram& program);

} // namespace vm2oci
