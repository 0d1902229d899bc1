// What a destination has been given and not yet published, read back as an image.
#pragma once

#include "formats/oci/store.hpp"

namespace vm2oci {

class WrittenImage final : public ImageSource {
  public:
    // `destination` outlives this object and what it opens.
    WrittenImage(ImageDestination& destination, Descriptor top);

    Descriptor resolve() override { return top_; }
    std::string read_manifest(const Descriptor& manifest) override;
    // Error{unsupported} where the destination cannot read what it was given.
    std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) override;

  private:
    ImageDestination& destination_;
    Descriptor top_;
};

} // namespace vm2oci
