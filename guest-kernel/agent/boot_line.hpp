// What the kernel's command line tells an initramfs (kernel-parameters.txt; switch_root's and dracut's customs).
#pragma once

#include "guest-kernel/agent/address_words.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace vm2oci::guest {

enum class Writable {
    automatic, // a layer in memory over file systems that cannot be written to, such as erofs
    memory,    // a layer in memory over any root
    root,      // the root itself
    device,    // a layer on a disk of its own, over any root
};

// What a container's program has for its streams.
enum class ConsoleUse {
    terminal,
    plain, // bytes as they are, and no input
};

struct TerminalSize {
    std::uint16_t rows = 0; // 0: not known
    std::uint16_t columns = 0;
};

struct BootLine {
    std::string root;                          // root=: a device, UUID=…, LABEL=…, PARTLABEL=…; "": not said
    std::string file_system;                   // rootfstype=; "": told by the root
    std::string flags;                         // rootflags=
    std::string file;                          // vm2oci.file=: the root is this file on what root= and rootfstype= name
    std::string init;                          // init=; "": the usual places
    bool read_only = true;                     // ro, rw: the last one counts; kernels begin with ro
    Writable writable = Writable::automatic;   // vm2oci.overlay=auto|memory|none|DEVICE
    std::string layer;                         // of Writable::device, as root= names it
    std::uint64_t wait_seconds = 30;           // vm2oci.wait=: for the root's device
    bool agent = false;                        // vm2oci.agent: the agent runs beside the guest's init
    bool appliance = false;                    // vm2oci.appliance: no root, but the job on a disk
    ConsoleUse console = ConsoleUse::terminal; // vm2oci.console=terminal|plain
    std::string terminal;                      // vm2oci.terminal=: TERM of a container's program; "": none
    TerminalSize terminal_size;                // vm2oci.size=ROWSxCOLUMNS: of that terminal
    AddressWords address;                      // ip=: how the first card gets its own
    bool reboots_to_end = false;               // reboot=k: a machine without a power switch
};

// Double quotes hold spaces together. What it does not know, it skips; of a repeated parameter the last one counts.
// Behind "--" everything is init's.
BootLine parse_boot_line(std::string_view command_line);

} // namespace vm2oci::guest
