// A repository of a registry as an image source.
#pragma once

#include "libconvert/registry/open_registry.hpp"

#include <map>
#include <mutex>
#include <optional>

namespace vm2oci::registry {

// Thread-safe.
class RegistrySource final : public ImageSource {
  public:
    RegistrySource(std::shared_ptr<RegistryClient> client, RegistryReference reference, OperationContext operation);

    SourceTraits traits() const override { return {.blobs_are_remote = true}; }
    Descriptor resolve() override;
    std::string read_manifest(const Descriptor& manifest) override;
    std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) override;
    std::shared_ptr<const BlockDevice> open_parts(const Descriptor& blob) override;
    bool stream_blob(const Descriptor& blob, ByteSink& out, const OperationContext& operation) override;

  private:
    std::shared_ptr<RegistryClient> client_;
    const RegistryReference reference_;
    const OperationContext operation_;
    std::mutex mutex_;
    std::optional<Descriptor> resolved_;
    std::map<Digest, std::string> manifests_; // that have been read
};

} // namespace vm2oci::registry
