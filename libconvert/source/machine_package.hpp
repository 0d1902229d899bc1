// A machine as it is handed over: an OVA, or an OVF descriptor beside its files. Nothing is unpacked; what the package
// says of its files is held against them as they are read.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"
#include "formats/block/layer.hpp"
#include "formats/block/open_disk.hpp"
#include "libconvert/hardware/ovf.hpp"
#include "libconvert/source/ovf_manifest.hpp"
#include "libconvert/source/package_files.hpp"
#include "libconvert/source/source_verifier.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// One disk of a package, in the order of MachineHardware::disks.
struct PackageDisk {
    std::string id;                           // as MachineDisk has it
    std::string file;                         // the same; empty: a blank disk
    std::shared_ptr<const BlockDevice> bytes; // of the file, watched by the verifier; of blank disks the disk
    bool is_blank = false;
    OvfCompression compression = OvfCompression::none; // as the descriptor says
    OvfFormat format = OvfFormat::unsaid;              // the same
    // Of a VMDK whose descriptor alone is `bytes`: the files that it names, out of the package; null for all others.
    std::shared_ptr<ExtentFiles> parts{};
};

struct MachinePackage {
    MachineHardware hardware;
    std::vector<PackageDisk> disks;
    bool has_manifest = false; // digests of files
    SignatureState signature = SignatureState::none;
    std::vector<std::string> remarks;         // hardware.remarks are not in them; escaped
    std::shared_ptr<SourceVerifier> verifier; // null: the package has no digests
};

struct PackageRequest {
    DiskPolicy policy;
    // PEM certificates, one of which must have signed the package; none: nobody must.
    std::optional<std::filesystem::path> authorities;
    // Which disk alone is wanted: its number from 1, its id or its file's name; empty: all.
    std::string disk;
};

// Error{corrupt}: a file has another size than the descriptor says, or the descriptor another digest than the manifest
// says; a file that is not there. Error{unsafe}: `authorities`, and the package is not signed. Error{usage}: no such
// disk. Errors of parse_ovf(), parse_ovf_manifest() and check_ovf_signature().
MachinePackage open_package(const MachineFiles& files, const PackageRequest& request);

} // namespace vm2oci
