// Patience with servers: what is tried again, after how long, and that a server's wish to be left alone is honoured.
#pragma once

#include "formats/base/progress.hpp"
#include "libconvert/registry/http.hpp"

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <string_view>

namespace vm2oci::registry {

class Clock {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    virtual ~Clock() = default;
    virtual TimePoint now() const = 0;
    // Seconds since 1970, for dates that servers send.
    virtual std::int64_t unix_time() const = 0;
    // Error{cancelled} when the operation is cancelled meanwhile.
    virtual void sleep(std::chrono::milliseconds duration) = 0;
};

class SystemClock final : public Clock {
  public:
    explicit SystemClock(OperationContext operation) : operation_(operation) {}
    TimePoint now() const override { return std::chrono::steady_clock::now(); }
    std::int64_t unix_time() const override;
    void sleep(std::chrono::milliseconds duration) override;

  private:
    OperationContext operation_;
};

inline constexpr unsigned kMaxAttempts = 6;            // without progress: some 8 s of waiting in all
inline constexpr unsigned kMaxAttemptsUnreachable = 3; // nobody listens: most likely a wrong name
inline constexpr std::chrono::milliseconds kFirstDelay{250};
inline constexpr std::chrono::milliseconds kLongestDelay{8000};
inline constexpr std::chrono::seconds kLongestRequestedWait{120}; // beyond that a person should decide

// Seconds or a date (RFC 9110 section 10.2.3); nullopt if absent or not readable. Never negative.
std::optional<std::chrono::seconds> retry_after(const HttpHeaders& headers, std::int64_t unix_now);

// 408, 429, 500, 502, 503, 504: the same request may succeed later.
bool is_temporary(int status);

// Whether a request that ended like this can be worth another attempt.
bool is_temporary(NetworkFault fault);

// Performs requests one after the other attempt. Thread-safe; a pause that one answer asked for holds for all requests.
class PatientTransport {
  public:
    // Neither is owned.
    PatientTransport(HttpTransport& transport, Clock& clock) : transport_(transport), clock_(clock) {}

    // One attempt, after a pause that is still in force. A 429 or 503 puts a new pause in force.
    HttpResponse once(const HttpRequest& request);
    // Up to kMaxAttempts; for requests that may be repeated. The last answer is returned whatever it is; the last
    // NetworkError is thrown. Error{external} when the server asks for too long a pause.
    HttpResponse repeatedly(const HttpRequest& request);
    // Sleeps before attempt number `attempt` (1: the first repetition), longer each time, with jitter.
    void back_off(unsigned attempt);

    Clock& clock() { return clock_; }

  private:
    void wait_for_pause();
    void note_pause(const HttpRequest& request, const HttpResponse& response);

    HttpTransport& transport_;
    Clock& clock_;
    std::mutex mutex_;
    Clock::TimePoint not_before_{};
    std::minstd_rand random_{std::random_device{}()};
};

} // namespace vm2oci::registry
