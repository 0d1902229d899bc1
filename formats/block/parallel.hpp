// One loop over several threads.
#pragma once

#include "formats/base/progress.hpp"

#include <cstdint>
#include <functional>

namespace vm2oci {

// Calls body(0) … body(count - 1), each once, from up to context.thread_count() threads, handed out in ascending order.
// The first exception that leaves a body ends the loop and is rethrown here; so does cancellation. With one thread
// everything happens in the caller's.
void parallel_for(std::uint64_t count, const OperationContext& context, const std::function<void(std::uint64_t)>& body);

} // namespace vm2oci
