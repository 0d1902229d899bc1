// A container image's files as Kata's guest image: the user's agent is put over them as another layer.
#pragma once

#include "libconvert/bundle/kata.hpp"
#include "libconvert/source/image_content.hpp"

namespace vm2oci {

// image.config and image.verifier are there; call image.verifier->finish() before the result appears. Of the options,
// edits and access are none of a container image's. Layers are read whole, and `source`, `image` and `operation`
// outlive the result. Errors as ContainerFiles, refuse_unfit_agent() and make_container_root() have them.
PreparedKata prepare_container_kata(ImageSource& source, const ImageContent& image, const KataOptions& options,
                                    const OperationContext& operation);

} // namespace vm2oci
