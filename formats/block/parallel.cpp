#include "formats/block/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace vm2oci {

void parallel_for(std::uint64_t count, const OperationContext& context,
                  const std::function<void(std::uint64_t)>& body) {
    std::atomic<std::uint64_t> next{0};
    std::atomic<bool> stopped{false};
    std::mutex mutex;
    std::exception_ptr failure;

    const auto work = [&]() noexcept {
        try {
            while (!stopped.load(std::memory_order_relaxed)) {
                const std::uint64_t index = next.fetch_add(1, std::memory_order_relaxed);
                if (index >= count)
                    return;
                context.check_cancelled();
                body(index);
            }
        } catch (...) {
            stopped.store(true, std::memory_order_relaxed);
            const std::lock_guard lock(mutex);
            if (!failure)
                failure = std::current_exception();
        }
    };

    const auto helpers = static_cast<unsigned>(std::min<std::uint64_t>(context.thread_count(), count));
    {
        std::vector<std::jthread> threads;
        for (unsigned index = 1; index < helpers; ++index)
            threads.emplace_back(work);
        work();
    }
    if (failure)
        std::rethrow_exception(failure);
}

} // namespace vm2oci
