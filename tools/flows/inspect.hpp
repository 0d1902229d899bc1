// What a disk or an image is, as values.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/open_disk.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/hardware/hardware.hpp"
#include "libconvert/inspect/guest_info.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/disk_file.hpp"
#include "libconvert/source/image_content.hpp"
#include "tools/flows/boot_source.hpp"
#include "tools/flows/open_source.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct GuestFindings {
    OpenedGuest opened;
    GuestInfo info;
    // What would keep it from booting elsewhere, or from its network; nullopt: not looked for.
    std::optional<std::vector<BootProblem>> problems;
    std::string refusal; // why the disk's division cannot be read; empty: it was
};

struct GuestReading {
    GuestAccess access;
    LargeFiles large_files = LargeFiles::read;
};

// A partition table that is refused is told in the result.
GuestFindings examine_guest(const std::shared_ptr<const BlockDevice>& disk, const GuestReading& reading,
                            const OperationContext& operation);

struct DiskSeen {
    std::string name; // for messages; escaped
    DiskFindings findings;
    std::optional<FilePacking> packing; // none: it was not compressed
};

// The disks of a machine, and the guest on them if none of them is refused.
struct DiskInspection {
    std::vector<DiskSeen> disks;             // the first one is the boot disk; never empty
    std::optional<GuestFindings> guest;      // none: a disk is refused
    std::optional<MachineHardware> hardware; // none: nothing describes it
    std::optional<ContentTrust> trust;       // none: nothing says what the files must be
    std::vector<std::string> remarks;        // for people; escaped
};

// ContentCheck::whole: reads all that digests are known of, and throws Error{corrupt} if they do not fit.
DiskInspection inspect_disk(const DiskReference& reference, const SourceRequest& request, const GuestReading& reading,
                            ContentCheck check, const OperationContext& operation);

struct ImageFindings {
    ImageContent content;
    std::optional<std::string> disk_path; // untrusted
    std::optional<DiskFindings> disk;
    std::vector<DiskSeen> further_disks;     // of the same machine
    std::optional<MachineHardware> hardware; // none: the image says nothing of it
    std::string no_disk;                     // why there is none; empty if there is one
    std::optional<GuestFindings> guest;      // none: there is no disk, or it is refused
    ContentTrust trust = ContentTrust::not_verified;
    std::vector<Descriptor> referrers; // signatures and the like, of the same repository
};

struct ImageReading {
    std::string architecture; // which image of an index; empty: as select_manifest() has it
    SourceRequest from;       // of it, how disks are read and what they consist of
    GuestReading guest;
    ContentCheck check = ContentCheck::parts; // whole: all layers, before anything is read of them
};

// Reads manifest and configuration, and of the layer what the disk's tables and the guest's files take.
ImageFindings examine_image(ImageSource& source, const ImageReading& reading, const OperationContext& operation);

// The same of a reference, with what refers to the image, where its store can tell. Of an image in a registry large
// files are left unread.
ImageFindings inspect_image(const ImageReference& reference, const SourceRequest& request, ImageReading reading,
                            const OperationContext& operation);

} // namespace vm2oci
