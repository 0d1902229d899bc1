#include "libconvert/registry/retry.hpp"

#include "libconvert/registry/answer.hpp"
#include "libconvert/registry/curl_library.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <thread>

namespace vm2oci::registry {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::int64_t SystemClock::unix_time() const {
    return static_cast<std::int64_t>(std::time(nullptr));
}

void SystemClock::sleep(milliseconds duration) {
    constexpr milliseconds kSlice{50}; // how soon Ctrl-C is seen
    const TimePoint end = now() + duration;
    while (true) {
        operation_.check_cancelled();
        const TimePoint moment = now();
        if (moment >= end)
            return;
        std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(kSlice, end - moment));
    }
}

std::optional<seconds> retry_after(const HttpHeaders& headers, std::int64_t unix_now) {
    const std::optional<std::string> text = headers.find("Retry-After");
    if (!text)
        return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error == std::errc() && end == text->data() + text->size())
        return seconds(std::max<std::int64_t>(value, 0));
    const std::time_t date = curl_library().getdate(text->c_str(), nullptr);
    if (date < 0)
        return std::nullopt;
    return seconds(std::max<std::int64_t>(static_cast<std::int64_t>(date) - unix_now, 0));
}

bool is_temporary(int status) {
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

bool is_temporary(NetworkFault fault) {
    return fault == NetworkFault::unreachable || fault == NetworkFault::dropped || fault == NetworkFault::stalled;
}

void PatientTransport::wait_for_pause() {
    Clock::TimePoint until;
    {
        const std::lock_guard lock(mutex_);
        until = not_before_;
    }
    const Clock::TimePoint now = clock_.now();
    if (now < until)
        clock_.sleep(std::chrono::ceil<milliseconds>(until - now));
}

void PatientTransport::note_pause(const HttpRequest& request, const HttpResponse& response) {
    if (response.status != 429 && response.status != 503)
        return;
    const std::optional<seconds> wait = retry_after(response.headers, clock_.unix_time());
    if (!wait)
        return;
    if (*wait > kLongestRequestedWait)
        fail(ErrorKind::external, fmt::format("{} answered {} and asks to wait {} s; try again after that",
                                              request.url.host_and_port(), response.status, wait->count()));
    const std::lock_guard lock(mutex_);
    not_before_ = std::max(not_before_, clock_.now() + *wait);
}

HttpResponse PatientTransport::once(const HttpRequest& request) {
    wait_for_pause();
    HttpResponse response = transport_.perform(request);
    undo_content_encoding(response, request.body_limit);
    note_pause(request, response);
    return response;
}

HttpResponse PatientTransport::repeatedly(const HttpRequest& request) {
    for (unsigned attempt = 1;; ++attempt) {
        try {
            HttpResponse response = once(request);
            if (!is_temporary(response.status) || attempt == kMaxAttempts)
                return response;
        } catch (const NetworkError& error) {
            const unsigned limit = error.fault() == NetworkFault::unreachable ? kMaxAttemptsUnreachable : kMaxAttempts;
            if (!is_temporary(error.fault()) || attempt >= limit)
                throw;
        }
        back_off(attempt);
    }
}

void PatientTransport::back_off(unsigned attempt) {
    const milliseconds full = std::min(kLongestDelay, kFirstDelay * (1U << std::min(attempt - 1, 10U)));
    milliseconds delay{};
    {
        // Half fixed, half random, so that many clients that failed together do not come back together.
        const std::lock_guard lock(mutex_);
        delay = full / 2 + milliseconds(std::uniform_int_distribution<std::int64_t>(0, full.count() / 2)(random_));
    }
    clock_.sleep(delay);
}

} // namespace vm2oci::registry
