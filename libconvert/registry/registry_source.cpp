#include "libconvert/registry/registry_source.hpp"

#include "formats/base/escape.hpp"
#include "libconvert/registry/blob_download.hpp"
#include "libconvert/registry/manifests.hpp"
#include "libconvert/registry/remote_blob.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::registry {
namespace {

constexpr std::size_t kTagsShown = 10;

std::string tags_hint(RegistryClient& client) {
    const std::vector<std::string> tags = list_tags(client);
    if (tags.empty())
        return "the repository has no tags";
    std::string line = "its tags are ";
    for (std::size_t i = 0; i < std::min(tags.size(), kTagsShown); ++i)
        line += (i == 0 ? "" : ", ") + escape_untrusted(tags[i]);
    return tags.size() > kTagsShown ? line + fmt::format(" and {} more", tags.size() - kTagsShown) : line;
}

} // namespace

RegistrySource::RegistrySource(std::shared_ptr<RegistryClient> client, RegistryReference reference,
                               OperationContext operation)
    : client_(std::move(client)), reference_(std::move(reference)), operation_(operation) {}

Descriptor RegistrySource::resolve() {
    {
        const std::lock_guard lock(mutex_);
        if (resolved_)
            return *resolved_;
    }
    const std::string wanted = !reference_.digest.empty() ? reference_.digest.text()
                               : reference_.tag.empty()   ? std::string("latest")
                                                          : reference_.tag;
    return with_context(to_string(ImageReference(reference_)), [&] {
        std::optional<FetchedManifest> found = fetch_manifest(*client_, wanted);
        if (!found)
            fail(ErrorKind::not_found, fmt::format("there is no {}; {}", wanted, tags_hint(*client_)));
        const std::lock_guard lock(mutex_);
        manifests_[found->descriptor.digest] = std::move(found->bytes);
        resolved_ = found->descriptor;
        return *resolved_;
    });
}

std::string RegistrySource::read_manifest(const Descriptor& manifest) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = manifests_.find(manifest.digest); found != manifests_.end())
            return found->second;
    }
    std::optional<FetchedManifest> found = fetch_manifest(*client_, manifest.digest.text());
    if (!found)
        fail(ErrorKind::corrupt, fmt::format("{} lacks the manifest {}, which an index there names", client_->host(),
                                             manifest.digest.text()));
    if (found->bytes.size() != manifest.size)
        fail(ErrorKind::corrupt, fmt::format("the manifest {} has {} bytes, and its descriptor says {}",
                                             manifest.digest.text(), found->bytes.size(), manifest.size));
    const std::lock_guard lock(mutex_);
    return manifests_[manifest.digest] = std::move(found->bytes);
}

std::shared_ptr<const BlockDevice> RegistrySource::open_blob(const Descriptor& blob) {
    return std::make_shared<RemoteBlob>(client_, blob, operation_);
}

std::shared_ptr<const BlockDevice> RegistrySource::open_parts(const Descriptor& blob) {
    return std::make_shared<RemoteParts>(client_, blob);
}

bool RegistrySource::stream_blob(const Descriptor& blob, ByteSink& out, const OperationContext& operation) {
    download_blob(*client_, blob, out, operation);
    return true;
}

} // namespace vm2oci::registry
