#include "libconvert/registry/registry_destination.hpp"

#include "formats/oci/json.hpp"
#include "formats/oci/stored_blob.hpp"
#include "libconvert/registry/blob_upload.hpp"
#include "libconvert/registry/manifests.hpp"
#include "libconvert/registry/remote_blob.hpp"
#include "libconvert/registry/streaming_blob_writer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::registry {
namespace {

class DeviceContent final : public UploadContent {
  public:
    explicit DeviceContent(const BlockDevice& device) : device_(device) {}
    bool keep_from(std::uint64_t) const override { return true; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override { device_.read_at(offset, buffer); }

  private:
    const BlockDevice& device_;
};

} // namespace

RegistryDestination::RegistryDestination(std::shared_ptr<RegistryClient> client, RegistryReference reference,
                                         std::vector<std::string> mount_from, OperationContext operation)
    : client_(std::move(client)), reference_(std::move(reference)), mount_from_(std::move(mount_from)),
      operation_(operation) {}

DestinationTraits RegistryDestination::traits() const {
    return {.stores_blobs = true, .max_manifest_bytes = kMaxManifestBytes};
}

bool RegistryDestination::known_present(const Digest& digest) {
    const std::lock_guard lock(mutex_);
    return present_.contains(digest);
}

void RegistryDestination::remember_present(const Digest& digest) {
    const std::lock_guard lock(mutex_);
    present_.insert(digest);
}

bool RegistryDestination::has_blob(const Descriptor& blob) {
    if (known_present(blob.digest))
        return true;
    if (!blob_exists(*client_, blob))
        return false;
    remember_present(blob.digest);
    return true;
}

bool RegistryDestination::present_or_mounted(const Descriptor& blob) {
    if (has_blob(blob))
        return true;
    for (const std::string& repository : mount_from_) {
        BlobUpload upload(*client_, nullptr);
        if (!upload.mount(blob.digest, repository))
            continue;
        remember_present(blob.digest);
        operation_.progress->note(fmt::format("{} was mounted from {}", blob.digest.text(), repository));
        return true;
    }
    return false;
}

std::unique_ptr<BlobWriter> RegistryDestination::begin_blob(const std::optional<Descriptor>& expected) {
    if (expected && present_or_mounted(*expected))
        return std::make_unique<PresentBlobWriter>(*expected);
    return std::make_unique<StreamingBlobWriter>(client_, expected);
}

bool RegistryDestination::put_stored_blob(const Descriptor& blob, const BlockDevice& content,
                                          const OperationContext& operation) {
    if (present_or_mounted(blob))
        return true;
    std::uint64_t reported = 0; // what is sent again is not progress
    BlobUpload upload(*client_, [&](std::uint64_t sent) {
        operation.check_cancelled();
        if (sent > reported)
            operation.progress->advance(sent - reported);
        reported = std::max(reported, sent);
    });
    upload.finish(DeviceContent(content), {blob.digest, blob.size});
    remember_present(blob.digest);
    return true;
}

Descriptor RegistryDestination::put_manifest(const std::string& bytes, const std::string& media_type) {
    if (bytes.size() > kMaxManifestBytes)
        fail(ErrorKind::limit,
             fmt::format("the manifest has {} bytes, and registries take at most {}", bytes.size(), kMaxManifestBytes));
    Descriptor descriptor{.media_type = media_type, .digest = Digest::of(bytes), .size = bytes.size()};
    const std::lock_guard lock(mutex_);
    pending_.push_back({descriptor, bytes});
    return descriptor;
}

std::shared_ptr<const BlockDevice> RegistryDestination::open_written(const Descriptor& blob) {
    {
        const std::lock_guard lock(mutex_);
        for (const Pending& manifest : pending_)
            if (manifest.descriptor.digest == blob.digest)
                return std::make_shared<TextBlob>(std::make_shared<const std::string>(manifest.bytes));
    }
    return std::make_shared<RemoteBlob>(client_, blob, operation_);
}

void RegistryDestination::publish(const Descriptor& top) {
    publish_together(top, {});
}

void RegistryDestination::publish_together(const Descriptor& top, const std::vector<TaggedImage>& others) {
    if (!reference_.digest.empty() && reference_.digest != top.digest)
        fail(ErrorKind::conflict,
             fmt::format("the image is {}, and the reference names {}", top.digest.text(), reference_.digest.text()));
    std::vector<Pending> pending;
    {
        const std::lock_guard lock(mutex_);
        pending.swap(pending_);
    }
    with_context(to_string(ImageReference(reference_)), [&] {
        const Pending* top_manifest = nullptr;
        for (const Pending& manifest : pending)
            if (manifest.descriptor.digest == top.digest)
                top_manifest = &manifest;
            else
                store_manifest(*client_, manifest.descriptor.digest.text(), manifest.bytes, manifest.descriptor);
        if (top_manifest == nullptr)
            fail(ErrorKind::not_found, "the manifest " + top.digest.text() + " was not given to the registry");
        for (const TaggedImage& other : others)
            for (const Pending& manifest : pending)
                if (manifest.descriptor.digest == other.top.digest)
                    store_manifest(*client_, other.tag, manifest.bytes, manifest.descriptor);
        const std::string name = !reference_.tag.empty()      ? reference_.tag
                                 : !reference_.digest.empty() ? reference_.digest.text()
                                                              : std::string("latest");
        store_manifest(*client_, name, top_manifest->bytes, top_manifest->descriptor);
    });
}

} // namespace vm2oci::registry
