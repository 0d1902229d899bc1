#include "formats/base/progress.hpp"

#include "formats/base/error.hpp"

#include <sched.h>

namespace vm2oci {
namespace {

class SilentProgress final : public ProgressSink {
  public:
    void begin(std::string_view, std::uint64_t) noexcept override {}
    void advance(std::uint64_t) noexcept override {}
    void end() noexcept override {}
    void note(std::string_view) noexcept override {}
};

} // namespace

ProgressSink& silent_progress() {
    static SilentProgress sink;
    return sink;
}

void Cancellation::throw_if_cancelled() const {
    if (cancelled())
        fail(ErrorKind::cancelled, "stopped by the user");
}

unsigned OperationContext::thread_count() const {
    if (threads != 0)
        return threads;
    // The affinity mask, not the machine: a CI container is often given two of many processors.
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    const int count = CPU_COUNT(&set);
    return count > 0 ? static_cast<unsigned>(count) : 1;
}

} // namespace vm2oci
