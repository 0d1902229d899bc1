// The image that a conversion writes: at a destination, complete before it is published.
#pragma once

#include "formats/oci/written_image.hpp"
#include "tools/flows/convert_run.hpp"

#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

class ImageOutput {
  public:
    explicit ImageOutput(ConvertRun& run) : run_(run) {}

    // What users say of the image, with the architecture by what they want and what the source says; else the host's.
    ImageOptions options() const;
    // As the request has them, with the frames of an earlier version.
    LayerOptions layer() const;

    // Before work begins, so that a destination that cannot be had stops the command in time.
    void open();
    // Calls `write`, which gets the destination. A registry that cannot resume loses a stream that is cut in the
    // middle; nothing of it is stored here, but the same input makes the same blob: it is called again.
    void write(const std::function<Descriptor(ImageDestination&)>& write);
    // The image that was written.
    ImageDestination& destination() const { return *destination_; }
    const Descriptor& manifest() const { return manifest_; }
    // Read back; valid as long as this object.
    ImageInStore image();

    // `others`: images that were written to the same destination.
    void publish(const std::vector<TaggedImage>& others = {}) { destination_->publish_together(manifest_, others); }
    // Whoever converts one version may convert the next one, and read this one: what is known of the frames, and of
    // what the layers unpack to, is kept for that.
    void remember_layers(const std::vector<StoredLayer>& layers) const;

  private:
    ConvertRun& run_;
    std::unique_ptr<ImageDestination> destination_;
    Descriptor manifest_;
    std::unique_ptr<WrittenImage> written_;
};

} // namespace vm2oci
