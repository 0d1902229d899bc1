// What somebody whose request failed could ask for instead: a value, which whoever speaks to people words.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace vm2oci {

enum class HintKind {
    none,
    // Of the source.
    allow_truncated,  // what is missing is read as zeros
    allow_corrupt,    // a qcow2 that is marked corrupt is read as it is
    allow_in_use,     // what somebody may be writing to is read
    backing,          // the backing file or parent is named
    data_file,        // the external data file is named
    extent,           // the file of a VMDK's extent is named
    max_virtual_size, // the limit is raised
    architecture,     // one image of an index is chosen, or the architecture is said
    root,             // another file system is taken as the guest's root
    key,              // the key of an encrypted volume is given
    guest_backend,    // another reader of guests is taken; argument: its name
    scratch_folder,   // scratch files go elsewhere
    one_disk,         // one of the machine's disks is taken, or a result that takes all
    further_disk,     // a disk of the machine is named, with its format where that is in doubt
    // Of the result.
    chunked,        // the layer does without a table of contents
    disk_format,    // the disk is written in another form than "keep"
    size,           // the disk is made larger
    layers,         // the files go into one layer
    krun_root,      // the root becomes a raw disk or an EROFS
    read_only_root, // the root becomes an EROFS
    // Of bundles.
    minimal_kernel, // vm2oci's own kernel is taken; argument "initramfs": or an initramfs that can do it
    other_kernel,   // vm2oci's own kernel, or one that is named
    guest_kernel,   // the guest's own kernel is taken
    // Of registries.
    login,       // somebody logs in, or says where logins are kept
    other_login, // with more rights
    certificate, // the authority is named, or nobody is asked to be trusted
    plain_http,  // no TLS
    // Of edits.
    user_data,          // cloud-init's user-data says it
    ssh_key,            // keys are given apart, or in the meta-data alone
    without_cloud_init, // what needs no cloud-init
    agent_package,      // an agent comes from a package of the guest's distribution
    further_agent,      // packages with missing libraries are given too
    // Of boots.
    accelerator, // KVM is not insisted on
};

// A stable word: "allow-truncated"; empty for none.
std::string_view to_string(HintKind kind);

struct Hint {
    Hint(HintKind which = HintKind::none, std::string about = {}) // NOLINT: most hints are about nothing
        : kind(which), argument(std::move(about)) {}

    HintKind kind;
    std::string argument; // safe to print
};

} // namespace vm2oci
