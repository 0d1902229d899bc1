#include "formats/oci/store.hpp"

#include "formats/base/error.hpp"

namespace vm2oci {

void ImageDestination::publish_together(const Descriptor& top, const std::vector<TaggedImage>& others) {
    if (!others.empty())
        fail(ErrorKind::unsupported, "this destination holds one image, and several would be written");
    publish(top);
}

} // namespace vm2oci
