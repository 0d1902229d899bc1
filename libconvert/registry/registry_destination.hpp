// A repository of a registry as an image destination.
#pragma once

#include "libconvert/registry/open_registry.hpp"

#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace vm2oci::registry {

// Thread-safe. Blobs are uploaded as they come; manifests are kept until publish(), which stores first those that are
// not the top, then the top under its tag: before that, nobody can see any of it. A push that fails cancels its
// uploads. Blobs and manifests that it had completed stay, untagged: others may have pushed the same ones meanwhile,
// and the next attempt need not send them again.
class RegistryDestination final : public ImageDestination {
  public:
    RegistryDestination(std::shared_ptr<RegistryClient> client, RegistryReference reference,
                        std::vector<std::string> mount_from, OperationContext operation);

    DestinationTraits traits() const override;
    bool has_blob(const Descriptor& blob) override;
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected) override;
    bool put_stored_blob(const Descriptor& blob, const BlockDevice& content,
                         const OperationContext& operation) override;
    Descriptor put_manifest(const std::string& bytes, const std::string& media_type) override;
    std::shared_ptr<const BlockDevice> open_written(const Descriptor& blob) override;
    void publish(const Descriptor& top) override;
    void publish_together(const Descriptor& top, const std::vector<TaggedImage>& others) override;

  private:
    struct Pending {
        Descriptor descriptor;
        std::string bytes;
    };

    bool known_present(const Digest& digest);
    void remember_present(const Digest& digest);
    bool present_or_mounted(const Descriptor& blob);

    std::shared_ptr<RegistryClient> client_;
    const RegistryReference reference_;
    const std::vector<std::string> mount_from_;
    const OperationContext operation_;
    std::mutex mutex_;
    std::set<Digest> present_;     // blobs that the repository has
    std::vector<Pending> pending_; // manifests, in the order in which they came
};

} // namespace vm2oci::registry
