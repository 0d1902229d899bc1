// References on the command line, and the only place that turns them into backends.
#pragma once

#include "formats/block/open_disk.hpp"
#include "formats/oci/reference.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/registry/open_registry.hpp"
#include "tools/vm2oci/source_options.hpp"

#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace vm2oci {
class ContentVerifier;
class Outputs;
} // namespace vm2oci

namespace vm2oci::cli {

// "qcow2:PATH", "raw:PATH" or a bare path.
struct DiskReference {
    std::string path;
    std::optional<DiskFormat> format;
};

using Reference = std::variant<DiskReference, ImageReference>;

// Error{usage}. A path that looks like a reference is written with a folder: "./oci:x".
Reference parse_reference(const std::string& text);

// The image that a reference must name (Error{usage} for a disk, naming `command`).
ImageReference parse_image_only(const std::string& text, std::string_view command);

// `operation` outlives the result. `registry_options` comes from add_registry_options().
std::unique_ptr<ImageSource> open_image_source(const ImageReference& reference, const OperationContext& operation,
                                               const registry::RegistryOptions& registry_options = {});
std::unique_ptr<ImageDestination> open_image_destination(const ImageReference& reference,
                                                         const OperationContext& operation,
                                                         const registry::RegistryOptions& registry_options = {});

struct SourceDisk {
    OpenedDisk disk;
    std::string architecture; // GOARCH, of the image that it came from; "" for a plain disk
    // Of the image that it came from; null for a plain disk, and where only parts are read.
    std::shared_ptr<ContentVerifier> verifier{};

    // Call before what was made of the disk is published: Error{corrupt} if the image is not what its digests say.
    void verify(const OperationContext& operation) const;
};

// A destination that publishes only when `source` has been verified, and `outputs` have appeared; all outlive it.
std::unique_ptr<ImageDestination> publish_verified(std::unique_ptr<ImageDestination> destination,
                                                   const SourceDisk& source, Outputs& outputs,
                                                   const OperationContext& operation);

// The disk itself, or the one inside an image. `architecture` chooses in an index; "" takes the only image there is.
SourceDisk open_source_disk(const Reference& reference, const SourceOptions& options, const std::string& architecture,
                            const OperationContext& operation);

} // namespace vm2oci::cli
