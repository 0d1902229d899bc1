// Descriptions of machines whose disks lie in files of their own, wherever the machine ran: VMware's .vmx, libvirt's
// domains, Hyper-V's exported configuration.
//
// Sources: libvirt's vmx.c and virt-v2v's parse_domain_from_vmx.ml (VMX); libvirt's documentation of the domain XML;
// Hyper-V's configuration as dissect.target's loader and Packer's builder read it.
#pragma once

#include "libconvert/hardware/hardware.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class DescriptionFormat { vmx, libvirt, hyperv };
std::string_view to_string(DescriptionFormat format); // "vmx", "libvirt", "hyperv", as references say it

// The file that a disk lies in, as the description has it.
struct DescribedFile {
    std::string name;   // without its folder; untrusted; empty: it is no file
    std::string place;  // what it is if it is no file: "a block device"; escaped
    std::string format; // as it is stated: "raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi"; empty: it is not, or no other
};

struct MachineDescription {
    MachineHardware hardware;
    std::vector<DescribedFile> files; // for each of hardware.disks
};

// How much of a file tells whether it is a description.
inline constexpr std::size_t kDescriptionHeadBytes = 64 << 10;

// What a file that begins so is; nullopt: no description of these. Error{unsupported}: descriptions that are known and
// not read (VirtualBox's, Parallels', snapshots of libvirt), with what to do.
std::optional<DescriptionFormat> detect_description(std::string_view head);

// `name` is what to call the file in messages. Error{corrupt, unsafe, limit} as parse_ovf(), Error{unsupported} for
// what is no machine with disks, or encrypted.
MachineDescription parse_description(DescriptionFormat format, std::string_view text, std::string_view name);

// The parts of parse_description().
MachineDescription parse_vmx(std::string_view text);
MachineDescription parse_libvirt_domain(std::string_view text, std::string_view name);
MachineDescription parse_hyperv(std::string_view text, std::string_view name);

// Of a path of any system the last part: "web.vmdk" of "/vmfs/volumes/x/web.vmdk" and of "C:\x\web.vmdk".
std::string last_part(std::string_view path);

} // namespace vm2oci
