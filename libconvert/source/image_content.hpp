// What an image consists of, read from any store; and the disk that it carries.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"
#include "formats/block/disk_format.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/hardware/hardware.hpp"
#include "libconvert/source/layered_view.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

class ContentVerifier; // libconvert/source/content_verifier.hpp

struct ImageContent {
    Descriptor top;      // what the reference names: an index or the manifest itself
    Descriptor manifest; // the one that was chosen
    ImageManifest parsed_manifest;
    std::optional<ImageConfig> config; // none: the config blob is no image configuration (an artifact)
    // Watches the layers that the functions below open. Null: content is not held against its digests.
    std::shared_ptr<ContentVerifier> verifier{};
};

// Follows the reference; `architecture` and errors as select_manifest() has them (formats/oci/select.hpp).
ImageContent read_image(ImageSource& source, const std::string& architecture);

struct DiskInImage {
    std::string path;                         // in the image, untrusted: "disk/disk.qcow2"
    std::size_t layer = 0;                    // index in the manifest
    std::shared_ptr<const BlockDevice> bytes; // the file itself, decoded as it is read
    std::optional<DiskFormat> format{};       // as the image says it; none: it does not
    std::vector<std::string> remarks{};       // why container runtimes refuse the image, though the disk is read
};

// A regular file's content in a layer's tar, decoded as it is read, with holes between the pieces that are stored;
// `extents` null: it is stored whole.
std::shared_ptr<const BlockDevice> open_member(const std::shared_ptr<const LayerContent>& layer, std::uint64_t offset,
                                               std::uint64_t size, const std::vector<TarExtent>* extents);

// A member of a layer that container runtimes do not unpack for the type in its header.
struct ForeignMember {
    std::string path; // untrusted
    char type;        // untrusted
};

// How far the members of a layer are listed that can only be decoded from its beginning.
enum class LayerListing {
    whole,
    up_to_disk, // to the first member that importers take for a disk, if it is large
};

// The files in the layers of an image, as a container sees them. The source must outlive this object.
class ImageFiles {
  public:
    // Reads the tar headers of all layers, and as little of the contents as their compression allows.
    // Error{unsupported} for a layer that is no tar, by media type and title.
    ImageFiles(ImageSource& source, const ImageContent& image, const OperationContext& operation,
               LayerListing listing = LayerListing::whole);

    const LayeredView& view() const { return view_; }
    // Of each layer in the manifest's order: what CDI's importer would take from it.
    const std::vector<std::optional<TarMember>>& first_disks() const { return first_disks_; }
    // The first member that runtimes do not unpack, by TarMember::foreign_type.
    const std::optional<ForeignMember>& foreign_member() const { return foreign_member_; }
    // Of each layer in the manifest's order: the member, by its path, in whose middle the layer ends; "" if it is
    // whole.
    const std::vector<std::string>& cut_members() const { return cut_members_; }
    // Of each layer in the manifest's order: the member, by its path, behind which it was not listed; "" if it was.
    const std::vector<std::string>& last_listed() const { return last_listed_; }
    // Why container runtimes refuse to unpack the image, as sentences about it; safe to print.
    std::vector<std::string> obstacles() const;
    // The content of a regular file of view(), decoded as it is read.
    std::shared_ptr<const BlockDevice> open(const LayeredFile& file) const;
    std::shared_ptr<const BlockDevice> open(std::size_t layer, const TarMember& member) const;
    // Error{not_found}: no such file. Error{unsafe}: no regular file, or in doubt.
    std::shared_ptr<const BlockDevice> open(std::string_view path) const;

  private:
    void list_layer(const OperationContext& operation, LayerListing listing); // the last of layers_

    LayeredView view_;
    std::vector<std::optional<TarMember>> first_disks_;
    std::optional<ForeignMember> foreign_member_;
    std::vector<std::string> cut_members_;
    std::vector<std::string> last_listed_;
    std::vector<std::shared_ptr<const LayerContent>> layers_;
};

// The only layer of an artifact that is a disk itself, perhaps compressed; its path is the layer's title. nullopt: the
// image is no artifact, or one of tars. Error{unsupported}: several disks, or none.
std::optional<DiskInImage> find_artifact_disk(ImageSource& source, const ImageContent& image,
                                              const OperationContext& operation);

// The only file under /disk, as KubeVirt, CDI and crun-vm look for it; else as find_artifact_disk().
// Error{unsupported}: no file there, or several. Error{unsafe}: no regular file, or in doubt.
DiskInImage find_disk(ImageSource& source, const ImageContent& image, const OperationContext& operation);

// The disks of a machine that an image holds, and what it says of the machine.
struct MachineInImage {
    std::vector<DiskInImage> disks;          // the boot disk first; never empty
    std::optional<MachineHardware> hardware; // none: nothing is said
};

// Of KubeVirt's machine artifact all disks; of other images find_disk()'s, and the hardware in its labels.
// Error{corrupt}: a disk of another size than the artifact says.
MachineInImage find_machine(ImageSource& source, const ImageContent& image, const OperationContext& operation);

// A blob that is no layer, whole: size and digest are those of `blob`. Error{limit} beyond 4 MiB, Error{corrupt}.
std::string read_small_blob(ImageSource& source, const Descriptor& blob, std::string_view what);

// The regular file of that path ("boot/vmlinuz"), as ImageFiles has it.
std::shared_ptr<const BlockDevice> find_file(ImageSource& source, const ImageContent& image, std::string_view path,
                                             const OperationContext& operation);

} // namespace vm2oci
