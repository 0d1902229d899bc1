// The only place that turns references into backends: stores of images, and the disks of a machine.
#pragma once

#include "formats/block/open_disk.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/copy/delta.hpp"
#include "libconvert/hardware/hardware.hpp"
#include "libconvert/registry/open_registry.hpp"
#include "libconvert/source/source_verifier.hpp"
#include "tools/flows/reference.hpp"

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// The files that one disk consists of besides its own.
struct DiskParts {
    std::vector<BackingFile> backing; // the chain below the disk, nearest first
    std::optional<std::filesystem::path> data_file{};
    std::vector<std::filesystem::path> extents{}; // of a VMDK in several files
};

// What takes the further disks and the parts of a request: also a package or description, which has its disks with it
// and of which they choose one; or plain disks alone, and others go without them.
enum class DiskWords { for_any_source, for_plain_disks };

// How a source is read, besides what its reference says.
struct SourceRequest {
    DiskParts parts{};                                // of the machine's first disk
    std::map<std::size_t, DiskParts> further_parts{}; // of the others, by number, from 2
    std::size_t number = 1;                           // of that first disk in its machine
    DiskPolicy policy;
    registry::RegistryOptions registry{};
    // Further disks of the same machine, as references; of a package the one disk that is wanted.
    std::vector<std::string> disks{};
    DiskWords disk_words = DiskWords::for_any_source;
    // Certificates (PEM), one of which must have signed a package; none: nobody must.
    std::optional<std::filesystem::path> authorities{};
    std::filesystem::path layer_cache{}; // what layers are known to unpack to; empty: nothing is kept

    // The request as a source that is no plain disk has it.
    SourceRequest for_machine() const;
    // The request as it is for that disk of the machine alone, from 1.
    SourceRequest for_disk(std::size_t disk) const;
    // `path` and `format` come from the reference.
    DiskSource disk_source(std::string path, std::optional<DiskFormat> format) const;
};

// A part of a disk, as people write it: parse_word_of_disk(), and a format behind a backing file. Error{usage}.
void add_backing(SourceRequest& request, const std::string& word);
void add_data_file(SourceRequest& request, const std::string& word);
void add_extent(SourceRequest& request, const std::string& word);

// `operation` outlives the result.
std::unique_ptr<ImageSource> open_image_source(const ImageReference& reference, const OperationContext& operation,
                                               const registry::RegistryOptions& registry_options = {});
std::unique_ptr<ImageDestination> open_image_destination(const ImageReference& reference,
                                                         const OperationContext& operation,
                                                         const registry::RegistryOptions& registry_options = {});

// An image that deltas are against. Errors say that it is the earlier version's.
std::shared_ptr<const DeltaBase> open_delta_base(const ImageReference& reference, const OperationContext& operation,
                                                 const registry::RegistryOptions& registry_options);
// What is written arrives as a delta against that image.
std::unique_ptr<ImageDestination> open_delta_destination(std::unique_ptr<ImageDestination> destination,
                                                         const ImageReference& against,
                                                         const OperationContext& operation,
                                                         const registry::RegistryOptions& registry_options);

struct SourceDisk {
    std::string name; // for messages: a path, of the user's or in an image; escaped
    OpenedDisk opened;
};

// What a reference holds: a machine's disks.
struct SourceMachine {
    std::vector<SourceDisk> disks; // the first one is the boot disk; never empty
    std::string architecture;      // GOARCH, of the image that it came from; "" for plain disks
    // Of the image or package that it came from; null for plain disks, and where only parts are read.
    std::shared_ptr<SourceVerifier> verifier{};
    std::optional<MachineHardware> hardware{}; // none: nothing describes it
    std::vector<std::string> remarks{};        // on how it was read, for people; escaped

    const SourceDisk& boot_disk() const { return disks.front(); }

    // Call before what was made of the disks is published: Error{corrupt} if the source is not what its digests say.
    void verify(const OperationContext& operation) const;
};

// Error{usage} if anything is said of disks: their parts, further ones, who vouches for their package. `what`, the
// source, has none that this could be said of.
void require_no_words_of_disks(const SourceRequest& request, std::string_view what);

// Error{usage} if parts are said for a disk that the machine has not: it has `count`.
void require_disks_of_parts(const SourceRequest& request, std::size_t count);

// The disk itself, or the one inside an image. `architecture` chooses in an index; "" takes the only image there is.
SourceMachine open_source_machine(const Reference& reference, const SourceRequest& request,
                                  const std::string& architecture, const OperationContext& operation);

// For what works on one disk. Error{unsupported}: the machine has several, whose names it tells.
const SourceDisk& only_disk(const SourceMachine& machine);

} // namespace vm2oci
