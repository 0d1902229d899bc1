// What a long operation tells its caller, and how the caller stops it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace vm2oci {

// Receives progress. All methods may be called from any thread, often; implementations must be cheap and never throw.
class ProgressSink {
  public:
    virtual ~ProgressSink() = default;
    // A phase begins ("convert", "push sha256:…"). `total_bytes` 0: not known.
    virtual void begin(std::string_view phase, std::uint64_t total_bytes) noexcept = 0;
    virtual void advance(std::uint64_t bytes) noexcept = 0;
    virtual void end() noexcept = 0;
    // One line for people ("starting the appliance, about 20 s").
    virtual void note(std::string_view line) noexcept = 0;
};

// Swallows everything.
ProgressSink& silent_progress();

// Set by a signal handler; long loops call throw_if_cancelled() between bounded steps.
class Cancellation {
  public:
    void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
    bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
    // Error{cancelled}.
    void throw_if_cancelled() const;

  private:
    std::atomic<bool> cancelled_{false};
};

// What every long operation takes: where to report, when to stop, how many threads, where scratch files go.
struct OperationContext {
    ProgressSink* progress = &silent_progress(); // not owned
    const Cancellation* cancellation = nullptr;  // not owned; null: cannot be stopped
    unsigned threads = 0;                        // 0: one for each processor
    std::string_view scratch_folder;             // empty: $TMPDIR, else /var/tmp; outlives the operation

    void check_cancelled() const {
        if (cancellation != nullptr)
            cancellation->throw_if_cancelled();
    }
    // `threads`, with 0 resolved; at least 1.
    unsigned thread_count() const;
};

} // namespace vm2oci
