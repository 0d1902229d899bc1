#include "formats/block/raw_layer.hpp"

#include "formats/block/padded.hpp"

namespace vm2oci {
namespace {

class RawLayer final : public Layer {
  public:
    explicit RawLayer(DevicePtr device) : device_(std::move(device)) {}
    DevicePtr assemble(DevicePtr /*parent*/) override { return device_; }

  private:
    DevicePtr device_;
};

} // namespace

std::unique_ptr<Layer> load_raw(const LayerSource& source, LayerSizes& sizes) {
    const DevicePtr device = raw_image(source.container);
    sizes.virtual_size = device->size();
    check_virtual_size(sizes.virtual_size, source.policy);
    if (source.scan == TableScan::complete)
        sizes.allocated_size = data_bytes(*source.container);
    return std::make_unique<RawLayer>(device);
}

} // namespace vm2oci
