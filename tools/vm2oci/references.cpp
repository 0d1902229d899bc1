#include "tools/vm2oci/references.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/outputs.hpp"
#include "formats/oci/archive.hpp"
#include "formats/oci/layout.hpp"
#include "formats/oci/null_store.hpp"
#include "libconvert/registry/open_registry.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/disk_file.hpp"
#include "libconvert/source/image_content.hpp"

#include <fmt/format.h>

#include <functional>
#include <utility>

namespace vm2oci::cli {
namespace {

struct OpenDestination {
    const OperationContext& operation;
    const registry::RegistryOptions& registry_options;

    std::unique_ptr<ImageDestination> operator()(const LayoutReference& layout) const {
        return std::make_unique<OciLayoutDestination>(layout.folder, layout.tag, operation);
    }
    std::unique_ptr<ImageDestination> operator()(const NullReference&) const {
        return std::make_unique<NullDestination>();
    }
    std::unique_ptr<ImageDestination> operator()(const ArchiveReference& archive) const {
        return std::make_unique<OciArchiveDestination>(archive.file, archive.tag, operation);
    }
    std::unique_ptr<ImageDestination> operator()(const RegistryReference& reference) const {
        return registry::open_registry_destination(reference, registry_options, operation);
    }
};

// Publishes only if nothing speaks against it.
class GuardedDestination final : public ImageDestination {
  public:
    GuardedDestination(std::unique_ptr<ImageDestination> destination, std::function<void()> guard)
        : destination_(std::move(destination)), guard_(std::move(guard)) {}

    DestinationTraits traits() const override { return destination_->traits(); }
    bool has_blob(const Descriptor& blob) override { return destination_->has_blob(blob); }
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected) override {
        return destination_->begin_blob(expected);
    }
    bool put_stored_blob(const Descriptor& blob, const BlockDevice& content,
                         const OperationContext& operation) override {
        return destination_->put_stored_blob(blob, content, operation);
    }
    Descriptor put_manifest(const std::string& bytes, const std::string& media_type) override {
        return destination_->put_manifest(bytes, media_type);
    }
    std::shared_ptr<const BlockDevice> open_written(const Descriptor& blob) override {
        return destination_->open_written(blob);
    }
    void publish(const Descriptor& top) override {
        guard_();
        destination_->publish(top);
    }

  private:
    std::unique_ptr<ImageDestination> destination_;
    std::function<void()> guard_;
};

struct OpenSource {
    const OperationContext& operation;
    const registry::RegistryOptions& registry_options;

    std::unique_ptr<ImageSource> operator()(const LayoutReference& layout) const {
        return std::make_unique<OciLayoutSource>(layout.folder, layout.tag);
    }
    std::unique_ptr<ImageSource> operator()(const NullReference&) const {
        fail(ErrorKind::usage, "null: is a destination; nothing can be read from it");
    }
    std::unique_ptr<ImageSource> operator()(const ArchiveReference& archive) const {
        return std::make_unique<OciArchiveSource>(archive.file, archive.tag, operation);
    }
    std::unique_ptr<ImageSource> operator()(const RegistryReference& reference) const {
        return registry::open_registry_source(reference, registry_options, operation);
    }
};

} // namespace

Reference parse_reference(const std::string& text) {
    if (auto image = parse_image_reference(text))
        return *std::move(image);
    for (const DiskFormat format : {DiskFormat::qcow2, DiskFormat::raw}) {
        const std::string prefix = std::string(vm2oci::to_string(format)) + ":";
        if (text.starts_with(prefix) && text.size() > prefix.size())
            return DiskReference{text.substr(prefix.size()), format};
    }
    if (text.empty() || text == "qcow2:" || text == "raw:")
        fail(ErrorKind::usage, "'" + text + "' names no disk");
    return DiskReference{text, std::nullopt};
}

ImageReference parse_image_only(const std::string& text, std::string_view command) {
    const Reference reference = parse_reference(text);
    if (const auto* image = std::get_if<ImageReference>(&reference))
        return *image;
    fail(ErrorKind::usage, fmt::format("{} takes an image, and '{}' is a disk; write it like oci:images:web01 or "
                                       "docker://registry.example/team/web01:v1",
                                       command, text));
}

std::unique_ptr<ImageSource> open_image_source(const ImageReference& reference, const OperationContext& operation,
                                               const registry::RegistryOptions& registry_options) {
    return std::visit(OpenSource{operation, registry_options}, reference);
}

std::unique_ptr<ImageDestination> open_image_destination(const ImageReference& reference,
                                                         const OperationContext& operation,
                                                         const registry::RegistryOptions& registry_options) {
    return std::visit(OpenDestination{operation, registry_options}, reference);
}

void SourceDisk::verify(const OperationContext& operation) const {
    if (verifier)
        verifier->finish(operation);
}

std::unique_ptr<ImageDestination> publish_verified(std::unique_ptr<ImageDestination> destination,
                                                   const SourceDisk& source, Outputs& outputs,
                                                   const OperationContext& operation) {
    return std::make_unique<GuardedDestination>(std::move(destination), [&source, &outputs, &operation] {
        source.verify(operation);
        outputs.commit();
    });
}

SourceDisk open_source_disk(const Reference& reference, const SourceOptions& options, const std::string& architecture,
                            const OperationContext& operation) {
    if (const auto* disk = std::get_if<DiskReference>(&reference)) {
        const DiskSource named = options.disk_source(disk->path, disk->format);
        return {open_disk(open_disk_file(named, operation).container, named), ""};
    }
    const auto source = open_image_source(std::get<ImageReference>(reference), operation, options.registry->options());
    ImageContent image = read_image(*source, architecture);
    image.verifier = std::make_shared<ContentVerifier>(image.parsed_manifest, image.config);
    const DiskInImage disk = find_disk(*source, image, operation);
    return {open_disk(disk.bytes, options.disk_source(escape_untrusted(disk.path), std::nullopt)),
            image.config ? image.config->platform.architecture : "", image.verifier};
}

} // namespace vm2oci::cli
