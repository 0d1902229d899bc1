// A destination that computes every digest and keeps nothing.
#pragma once

#include "formats/oci/store.hpp"

namespace vm2oci {

class NullDestination final : public ImageDestination {
  public:
    DestinationTraits traits() const override { return {.stores_blobs = false}; }
    bool has_blob(const Descriptor& /*blob*/) override { return false; }
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected) override;
    Descriptor put_manifest(const std::string& bytes, const std::string& media_type) override;
    void publish(const Descriptor& /*top*/) override {}
    void publish_together(const Descriptor& /*top*/, const std::vector<TaggedImage>& /*others*/) override {}
};

} // namespace vm2oci
