// A guest, or a container image's files, as what Kata Containers starts its sandboxes from: an image with one
// partition, and the same as an initrd.
//
// Kata reads these files from the host's disk and pulls none from a registry, so they are written into a folder.
#pragma once

#include "libconvert/bundle/proven_root.hpp"
#include "libconvert/bundle/root_disk.hpp"
#include "libconvert/bundle/unpack.hpp"
#include "libconvert/edit/edit_disk.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct KataOptions {
    std::filesystem::path agent;                // kata-agent, a program for the guest's architecture
    BundleRootKind root = BundleRootKind::disk; // disk: ext4
    RootProof proof = RootProof::none;
    EditRequest edits;
    EditMode mode = EditMode::apply;
    std::optional<std::uint64_t> size; // of the ext4's image, at least; none: as the files need
    GuestAccess access;
    std::int64_t time = 0; // what new files bear; 0: the time of the last write
};

struct KataReport {
    std::vector<UnpackedFile> files;
    std::string drop_in;              // the configuration that makes Kata use them
    std::optional<VerityRoot> verity; // what the image proves itself by
    std::vector<std::string> remarks;
};

// The files that the sandbox's root will have, with the agent among them.
class KataTree {
  public:
    virtual ~KataTree() = default;
    // Errors as make_ext4_root() has them.
    virtual RootFiles make_root(const KataOptions& options, const OperationContext& operation) const = 0;
    virtual void export_tree(TreeSink& sink, const OperationContext& operation) const = 0;
};

// What Kata will have, before a file is made of it.
struct PreparedKata {
    OpenedGuest guest;                    // whose packages can be listed
    std::shared_ptr<const KataTree> tree; // of `guest`; null: only the plan was asked for
    std::string uuid;                     // of its root, or what one comes from
    EditReport edits;                     // the sandbox's own and the user's
    std::vector<std::string> remarks{};   // on what of the guest is not in it; for people; escaped
};

// The agent becomes a unit of systemd, or the init of guests without systemd. Errors as make_root_disk() and
// edit_disk() have them.
PreparedKata prepare_kata(const std::shared_ptr<const BlockDevice>& disk, const KataOptions& options,
                          const OperationContext& operation);

// Writes kata-containers.img, kata-containers-initrd.img and 50-vm2oci.toml, which appears last, for `folder`, which is
// made if it is not there, among `outputs`. Kernels, modules and firmware are left out, as Kata brings its own kernel.
KataReport write_kata(const PreparedKata& prepared, const KataOptions& options, const std::filesystem::path& folder,
                      Outputs& outputs, const OperationContext& operation);

} // namespace vm2oci
