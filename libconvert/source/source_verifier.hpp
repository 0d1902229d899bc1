// What a source says of itself, held against what was read of it.
#pragma once

#include "formats/base/progress.hpp"

namespace vm2oci {

// Its content is hashed on its way to whoever reads it. Not thread-safe itself.
class SourceVerifier {
  public:
    virtual ~SourceVerifier() = default;
    // Before anything that was made of the source is published: reads what nobody has read of the parts that were
    // opened. Error{corrupt} if one of them is not what the source says. They are not watched any longer.
    virtual void finish(const OperationContext& operation) = 0;
};

} // namespace vm2oci
