// What is known of a machine and what the user wants of it, brought together: the machine that a manifest describes.
// A pure function.
#pragma once

#include "formats/oci/bundle.hpp"
#include "libconvert/hardware/hardware.hpp"
#include "libconvert/inspect/guest_info.hpp"
#include "libconvert/manifest/runnable_machine.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct MachineFacts {
    RunnableForm form = RunnableForm::disk;
    std::string name;               // a proposal: of a file, a tag, a repository
    std::string architecture;       // GOARCH, of the image; empty: not said
    std::optional<GuestInfo> guest; // none: nothing was recognised
    std::optional<MachineHardware> hardware;
    std::optional<BundleDescription> bundle;
    std::vector<RunnableDisk> disks;  // names are given here; sizes and places are known
    std::string image;                // of a rootfs
    bool names_program = true;        // of a rootfs: its configuration has an entrypoint or a command
    std::string image_reason;         // what to say of where the image is; empty: nothing
    std::optional<RunnableSeed> seed; // that the image carries
};

struct MachineWishes {
    std::string name;       // empty: as proposed
    std::string namespace_; // empty: none
    std::optional<unsigned> cpus;
    std::optional<std::uint64_t> memory;
    std::optional<StartFirmware> firmware;
    std::optional<DiskAttachment> attachment;
    std::optional<NicModel> nic_model;
    std::string instance_type;         // "auto": by the machine's size; empty: none
    std::string preference;            // "auto": by the guest; empty: none
    std::vector<std::string> networks; // of the NICs in their order: "pod", or Multus' name; empty: pod for the first
    std::optional<RunnableSeed> seed;
    std::optional<SeedForm> seed_form; // none: what the guest looks for
    std::string pull_secret;
};

// Error{usage}: an instance type beside processors or memory; network data that a config drive cannot carry.
RunnableMachine make_runnable(const MachineFacts& facts, const MachineWishes& wishes);

} // namespace vm2oci
