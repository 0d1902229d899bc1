// What every long operation takes: where it reports, how it is stopped, what it may use.
#pragma once

#include <vm2oci/export.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace vm2oci::v0 {

// Hears of progress, from any thread and often: be quick, and do not throw.
class VM2OCI_API Progress {
  public:
    virtual ~Progress();
    // A phase begins; `total_bytes` 0: not known.
    virtual void begin(std::string_view phase, std::uint64_t total_bytes) noexcept;
    virtual void advance(std::uint64_t bytes) noexcept;
    virtual void end() noexcept;
    // One line for people.
    virtual void note(std::string_view line) noexcept;
};

// Stops an operation, which throws Error{cancelled} then. cancel() may be called from a signal handler.
class VM2OCI_API Cancellation {
  public:
    Cancellation();
    ~Cancellation();
    Cancellation(const Cancellation&) = delete;
    Cancellation& operator=(const Cancellation&) = delete;

    void cancel() noexcept;
    bool cancelled() const noexcept;

  private:
    friend class OperationBridge;
    struct State;
    std::unique_ptr<State> state_;
};

struct Operation {
    Progress* progress = nullptr;               // not owned; null: nobody listens
    const Cancellation* cancellation = nullptr; // not owned; null: it cannot be stopped
    unsigned threads = 0;                       // 0: one for each processor
    std::string scratch_folder;                 // empty: $TMPDIR, else /var/tmp
};

} // namespace vm2oci::v0
