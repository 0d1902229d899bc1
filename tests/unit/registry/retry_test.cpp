#include "libconvert/registry/retry.hpp"
#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::registry;
using namespace std::chrono_literals;
using test::FakeClock;
using test::FakeRegistry;

namespace {

HttpRequest get_request() {
    HttpRequest request;
    request.url = parse_url("https://registry.test/v2/");
    return request;
}

} // namespace

TEST_CASE("Retry-After is read as seconds and as a date") {
    HttpHeaders seconds;
    seconds.add("retry-after", "17");
    CHECK(retry_after(seconds, 0) == 17s);
    HttpHeaders date;
    date.add("Retry-After", "Tue, 14 Nov 2023 22:13:50 GMT"); // 30 s behind the fake clock
    CHECK(retry_after(date, 1'700'000'000) == 30s);
    CHECK(retry_after(date, 1'800'000'000) == 0s);
    HttpHeaders nonsense;
    nonsense.add("Retry-After", "soon");
    CHECK(retry_after(nonsense, 0) == std::nullopt);
    CHECK(retry_after({}, 0) == std::nullopt);
}

TEST_CASE("a temporary failure is tried again until it succeeds") {
    FakeRegistry server;
    FakeClock clock;
    PatientTransport patient(server, clock);
    int left = 3;
    server.intercept = [&](const HttpRequest&) -> std::optional<HttpResponse> {
        if (left-- > 0)
            return FakeRegistry::answer(502);
        return std::nullopt;
    };
    CHECK(patient.repeatedly(get_request()).status == 200);
    CHECK(server.seen.size() == 4);
    CHECK(clock.slept >= (250ms + 500ms + 1000ms) / 2);
    CHECK(clock.slept <= 250ms + 500ms + 1000ms);
}

TEST_CASE("patience ends") {
    FakeRegistry server;
    FakeClock clock;
    PatientTransport patient(server, clock);
    SECTION("with the last answer") {
        server.intercept = [](const HttpRequest&) { return FakeRegistry::answer(503); };
        CHECK(patient.repeatedly(get_request()).status == 503);
        CHECK(server.seen.size() == kMaxAttempts);
    }
    SECTION("with the last fault") {
        server.intercept = [](const HttpRequest&) -> std::optional<HttpResponse> {
            throw NetworkError(NetworkFault::dropped, "cut");
        };
        CHECK_THROWS_AS(patient.repeatedly(get_request()), NetworkError);
        CHECK(server.seen.size() == kMaxAttempts);
    }
    SECTION("at once where waiting cannot help") {
        server.intercept = [](const HttpRequest&) -> std::optional<HttpResponse> {
            throw NetworkError(NetworkFault::tls_untrusted, "who is that");
        };
        CHECK_THROWS_AS(patient.repeatedly(get_request()), NetworkError);
        CHECK(server.seen.size() == 1);
    }
    SECTION("at once for what is not temporary") {
        server.intercept = [](const HttpRequest&) { return FakeRegistry::answer(403); };
        CHECK(patient.repeatedly(get_request()).status == 403);
        CHECK(server.seen.size() == 1);
    }
}

TEST_CASE("a server's wish to be left alone holds for every request") {
    FakeRegistry server;
    FakeClock clock;
    PatientTransport patient(server, clock);
    int left = 1;
    std::string wait = "30";
    server.intercept = [&](const HttpRequest&) -> std::optional<HttpResponse> {
        if (left-- > 0)
            return FakeRegistry::answer(429, "", {{"Retry-After", wait}});
        return std::nullopt;
    };
    SECTION("a short one is waited for") {
        CHECK(patient.once(get_request()).status == 429);
        CHECK(clock.slept == 0ms);
        CHECK(patient.once(get_request()).status == 200);
        CHECK(clock.slept >= 30s);
        CHECK(clock.slept < 31s);
    }
    SECTION("a long one is told to the user") {
        wait = "3600";
        try {
            patient.repeatedly(get_request());
            FAIL("it waited");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::external);
            CHECK(std::string(error.what()).find("3600 s") != std::string::npos);
        }
        CHECK(clock.slept == 0ms);
    }
}
