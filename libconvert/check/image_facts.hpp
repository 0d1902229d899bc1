// What consumers of an image look at, gathered once: its documents, the files of all its layers as a container would
// see them, and the disk inside.
#pragma once

#include "formats/block/open_disk.hpp"
#include "formats/tree/tar_reader.hpp"
#include "libconvert/package/vm_artifact.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/image_content.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct ImageFile {
    TarType type = TarType::regular;
    std::uint32_t permissions = 0;
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    std::uint64_t size = 0;
};

inline constexpr std::string_view kSkippableZstd = "zstd behind a skippable frame";

// How the stored bytes of a layer begin.
struct LayerHead {
    std::string compression;                       // by magic: "zstd", kSkippableZstd, "gzip", "xz", "none"
    std::optional<std::uint64_t> first_zstd_block; // stored bytes of the first block of the first zstd frame
    std::string cut_member{};                      // in whose middle the layer ends; "": it is whole, or not listed
    std::string last_listed{};                     // member behind which it was not listed; "": it was
};

// What CDI's importer takes: of the lowest layer that has one, the first member that begins with "disk".
struct ImportedDisk {
    std::string name; // as the tar spells it, untrusted
    std::string path; // cleaned
    std::size_t layer = 0;
    TarType type = TarType::regular;
    std::uint64_t size = 0;
    bool is_seen = false;                 // by containers too: nothing hides or replaces it
    std::optional<DiskFindings> findings; // none: no regular file, or an empty one
};

// KubeVirt's machine artifact, as its importer reads it.
struct MachineArtifactFacts {
    std::string problem;                 // of the VirtualMachine or the disks; "": they can be read
    std::vector<MachineDiskLayer> disks; // in the order of the machine
    std::vector<std::string> claims;     // that the machine mounts, in the importer's spelling
};

// An entry of an index, as podman machine looks for its own.
struct IndexEntryFacts {
    std::string disk_type; // of the entry; empty: it is another image
    std::string architecture;
    std::string os;
    bool is_read = false;            // the manifest is there
    std::vector<std::string> titles; // of its layers; empty: none is said
};

struct ImageFacts {
    ImageContent content;
    std::optional<MachineArtifactFacts> machine;       // none: the image is no machine artifact
    std::optional<std::vector<IndexEntryFacts>> index; // none: the reference names a single image
    std::vector<LayerHead> layers;                     // as in the manifest
    std::optional<ImportedDisk> imported;
    std::map<std::string, ImageFile> files; // the merged tree, by path without a leading slash; whiteouts applied
    std::optional<ForeignMember> foreign_member;
    std::optional<UnpackObstacle> obstacle{};
    std::optional<DiskFindings> disk; // of the only regular file under /disk
    ContentTrust trust = ContentTrust::not_verified;
    std::string content_problem{};   // a layer that is not what its digest or diff_id says; "": none, or not looked for
    std::uint64_t sector_size = 512; // that its partition table counts
    std::string kernel_architecture; // GOARCH of a bundle's kernel; empty: none, or not known
};

// Whose layers are read to their ends and held against digests and diff_ids.
enum class LayerReading { whole_if_local, whole };

// Reads the tar headers of all layers, and more by `reading`. Of a remote image that is not read whole, a layer that
// can only be decoded from its beginning is listed up to its disk (LayerHead::last_listed), whose footer is not looked
// at. Errors are those of the layers: what cannot be read is no fact. Error{unsafe} if what lies in /disk (of a bundle:
// anything) depends on who unpacks it.
ImageFacts gather_image_facts(ImageSource& source, const std::string& architecture, const OperationContext& operation,
                              LayerReading reading = LayerReading::whole_if_local);

// Of the first bytes of a zstd stream (RFC 8878, 3.1.1); nullopt if `head` does not begin with a frame or is too short.
std::optional<std::uint64_t> first_zstd_block_size(std::span<const std::byte> head);

} // namespace vm2oci
