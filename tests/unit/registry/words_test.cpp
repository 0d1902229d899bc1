// The small words of HTTP and of registries: each at the edges that real ones have.
#include "libconvert/registry/answer.hpp"
#include "libconvert/registry/challenge.hpp"
#include "libconvert/registry/retry.hpp"
#include "libconvert/registry/token.hpp"
#include "libconvert/registry/url.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace vm2oci;
using namespace vm2oci::registry;
using namespace std::chrono_literals;
using test::error_of;
using test::FakeClock;
using test::FakeRegistry;

TEST_CASE("challenges of the registries that people use") {
    struct Case {
        const char* registry;
        const char* header;
        AuthScheme scheme;
        const char* realm;
        const char* service;
        const char* scope = "";
        const char* error = "";
    };
    for (
        const Case& one :
        {Case{
             "Docker Hub",
             R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull")",
             AuthScheme::bearer, "https://auth.docker.io/token", "registry.docker.io",
             "repository:library/debian:pull"},
         Case{"GitHub", R"(Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:user/image:pull")",
              AuthScheme::bearer, "https://ghcr.io/token", "ghcr.io", "repository:user/image:pull"},
         Case{"Quay", R"(Bearer realm="https://quay.io/v2/auth",service="quay.io")", AuthScheme::bearer,
              "https://quay.io/v2/auth", "quay.io"},
         Case{"Amazon ECR",
              R"(Basic realm="https://1234.dkr.ecr.eu-central-1.amazonaws.com/",service="ecr.amazonaws.com")",
              AuthScheme::basic, "https://1234.dkr.ecr.eu-central-1.amazonaws.com/", "ecr.amazonaws.com"},
         Case{"Azure",
              R"(Bearer realm="https://x.azurecr.io/oauth2/token",service="x.azurecr.io",error="invalid_token")",
              AuthScheme::bearer, "https://x.azurecr.io/oauth2/token", "x.azurecr.io", "", "invalid_token"},
         Case{"GitLab", R"(Bearer realm="https://gitlab.test/jwt/auth",service="container_registry",scope="*")",
              AuthScheme::bearer, "https://gitlab.test/jwt/auth", "container_registry", "*"},
         Case{"Nexus", R"(BASIC realm="Sonatype Nexus Repository Manager")", AuthScheme::basic,
              "Sonatype Nexus Repository Manager", ""},
         Case{"zot", "Basic realm=\"Authorization Required\"", AuthScheme::basic, "Authorization Required", ""},
         Case{"without quotes", "Bearer realm=https, service=s", AuthScheme::bearer, "https", "s"},
         Case{"parameters apart", "Bearer   realm = \"r\"  ,\t service = \"s\" ,,", AuthScheme::bearer, "r", "s"},
         Case{"Kerberos", "Negotiate", AuthScheme::other, "", ""},
         Case{"a name that only begins so", "Bearers realm=\"r\"", AuthScheme::other, "r", ""}}) {
        INFO(one.registry);
        const std::vector<Challenge> found = parse_challenges(one.header);
        REQUIRE(found.size() == 1);
        CHECK(found[0].scheme == one.scheme);
        CHECK(found[0].realm == one.realm);
        CHECK(found[0].service == one.service);
        CHECK(found[0].scope == one.scope);
        CHECK(found[0].error == one.error);
    }
    // Of a parameter that stands twice the last counts; sixteen challenges are enough.
    CHECK(parse_challenges("Bearer realm=\"a\",realm=\"b\"").at(0).realm == "b");
    std::string many;
    for (int i = 0; i < 20; ++i)
        many += "Basic realm=\"" + std::to_string(i) + "\", ";
    CHECK(parse_challenges(many).size() == 16);
    CHECK(parse_challenges(many).back().realm == "15");
}

TEST_CASE("an error document is told with three of its errors") {
    const auto explained = [](const std::string& body) { return explain_body(FakeRegistry::answer(400, body)); };
    CHECK(explained(R"({"errors":[{"code":"A"},{"code":"B"},{"code":"C"},{"code":"D"}]})") == "A; B; C");
    CHECK(explained(R"({"errors":[{"message":"only words"}]})") == "only words");
    CHECK(explained(R"({"errors":[{"detail":"why"}]})") == "why");
    CHECK(explained(R"({"errors":[{"code":"A","message":"m","detail":"m"}]})") == "A: m"); // not said twice
    CHECK(explained(R"({"errors":[{"code":"A","message":"m","detail":"n"}]})") == "A: m, n");
    CHECK(explained(R"({"errors":[{"code":"A","detail":{}},{"code":7},{"code":null,"message":[]}]})") == "A; 7");
    CHECK(explained(R"({"errors":[]})").empty());
    CHECK(explained(R"({"error":"denied"})") == "denied");
    CHECK(explained(R"({"error":"a","error_description":"b"})") == "b");
    CHECK(explained(R"({"error":"a","message":"c"})") == "c");
    CHECK(explained(R"({"details":"d","error_description":"b"})") == "d");
    CHECK(explained(R"({"error":{"code":7}})") == R"('{"error":{"code":7}}')");
    CHECK(explained("\n  plain") == "'plain'");
    CHECK(explained(" <!DOCTYPE html>").starts_with("HTML instead of a registry's answer: "));
    CHECK(explain_body(FakeRegistry::answer(502, "gone", {{"content-type", "text/html; charset=x"}})) ==
          "HTML instead of a registry's answer: 'gone'");
}

TEST_CASE("a failed answer says what can be done") {
    struct Case {
        int status;
        ErrorKind kind;
        HintKind hint;
        const char* message;
    };
    for (const Case& one :
         {Case{400, ErrorKind::external, HintKind::none, "registry.test answered 400: 'x'"},
          Case{401, ErrorKind::external, HintKind::login, "registry.test answered 401: 'x'"},
          Case{403, ErrorKind::external, HintKind::other_login, "registry.test answered 403: 'x'"},
          Case{404, ErrorKind::not_found, HintKind::none, "registry.test answered 404: 'x'"},
          Case{413, ErrorKind::external, HintKind::none,
               "registry.test answered 413: 'x'; the registry, or a proxy before it, bounds the size of a request, and "
               "that bound has to be raised"},
          Case{500, ErrorKind::external, HintKind::none, "registry.test answered 500: 'x'"}}) {
        const Error error = error_of([&] { fail_answer("registry.test", FakeRegistry::answer(one.status, "x")); });
        CHECK(error.kind() == one.kind);
        CHECK(error.hint().kind == one.hint);
        CHECK(error.message() == one.message);
    }
    CHECK(error_of([] { fail_answer("r.test", FakeRegistry::answer(418)); }).message() == "r.test answered 418");
}

TEST_CASE("which answers and faults may pass") {
    const std::set<int> temporary = {408, 429, 500, 502, 503, 504};
    for (int status = 100; status < 600; ++status)
        CHECK(is_temporary(status) == temporary.contains(status));
    CHECK(is_temporary(NetworkFault::unreachable));
    CHECK(is_temporary(NetworkFault::dropped));
    CHECK(is_temporary(NetworkFault::stalled));
    for (const NetworkFault fault : {NetworkFault::tls_handshake, NetworkFault::tls_untrusted,
                                     NetworkFault::tls_expired, NetworkFault::tls_elsewhere, NetworkFault::protocol})
        CHECK_FALSE(is_temporary(fault));
}

TEST_CASE("a server's wait is a number of seconds, or nothing") {
    const auto wait = [](const char* text) {
        HttpHeaders headers;
        headers.add("Retry-After", text);
        return retry_after(headers, 1'700'000'000);
    };
    CHECK(wait("0") == 0s);
    CHECK(wait("120") == 120s);
    CHECK(wait("-5") == 0s);
    CHECK(wait("99999999999999999999") == std::nullopt);
    CHECK(wait("") == std::nullopt);
    CHECK(wait("Tue, 14 Nov 2023 22:13:19 GMT") == 0s); // a second ago
    CHECK(wait("Tue, 14 Nov 2023 22:13:21 GMT") == 1s);
}

namespace {

// Answers `status` with this wait, each time.
HttpResponse repeated(FakeRegistry& server, FakeClock& clock, int status, const std::string& wait) {
    server.intercept = [=](const HttpRequest&) { return FakeRegistry::answer(status, "", {{"Retry-After", wait}}); };
    PatientTransport patient(server, clock);
    HttpRequest request;
    request.url = parse_url("https://registry.test/v2/");
    return patient.repeatedly(request);
}

} // namespace

TEST_CASE("two minutes are waited for, and a second more is the user's to decide") {
    FakeRegistry server;
    FakeClock clock;
    CHECK(repeated(server, clock, 429, "120").status == 429);
    CHECK(server.seen.size() == 6);
    CHECK(clock.slept >= 5 * 120s);
    for (const int status : {429, 503}) {
        FakeClock other;
        const Error error = error_of([&] { repeated(server, other, status, "121"); });
        CHECK(error.message() ==
              "registry.test answered " + std::to_string(status) + " and asks to wait 121 s; try again after that");
        CHECK(other.slept == 0ms);
    }
    // Of other answers the header means nothing.
    FakeClock third;
    CHECK(repeated(server, third, 502, "121").status == 502);
    CHECK(third.slept < 9s);
}

TEST_CASE("delays double from a quarter of a second to eight seconds, the half of them by chance") {
    for (unsigned attempt = 1; attempt <= 40; ++attempt) {
        FakeRegistry server;
        FakeClock clock;
        PatientTransport patient(server, clock);
        patient.back_off(attempt);
        const auto full = std::min<std::chrono::milliseconds>(8000ms, 250ms * (1 << std::min(attempt - 1, 10U)));
        CAPTURE(attempt);
        CHECK(clock.slept >= full / 2);
        CHECK(clock.slept <= full);
    }
}

TEST_CASE("who is not reachable is asked three times, who drops the connection six times") {
    for (const auto& [fault, attempts] : {std::pair{NetworkFault::unreachable, 3U},
                                          {NetworkFault::dropped, 6U},
                                          {NetworkFault::stalled, 6U},
                                          {NetworkFault::protocol, 1U},
                                          {NetworkFault::tls_expired, 1U}}) {
        FakeRegistry server;
        FakeClock clock;
        server.intercept = [fault = fault](const HttpRequest&) -> std::optional<HttpResponse> {
            throw NetworkError(fault, "x");
        };
        PatientTransport patient(server, clock);
        HttpRequest request;
        request.url = parse_url("https://registry.test/v2/");
        CHECK_THROWS_AS(patient.repeatedly(request), NetworkError);
        CHECK(server.seen.size() == attempts);
    }
}

TEST_CASE("a token is used until five seconds before its end, a short one for half its life") {
    struct Case {
        int lifetime;
        int last_use;
    };
    for (const Case& one : {Case{300, 294}, Case{60, 54}, Case{12, 6}, Case{10, 4}, Case{8, 3}, Case{3, 0}}) {
        CAPTURE(one.lifetime);
        TokenCache cache;
        const TokenCache::TimePoint start{};
        cache.store("s", {"t", std::chrono::seconds(one.lifetime)}, start);
        CHECK(cache.find("s", start + std::chrono::seconds(one.last_use)));
        CHECK_FALSE(cache.find("s", start + std::chrono::seconds(one.last_use + 1)));
    }
    CHECK(parse_token_answer(R"({"token":"a","expires_in":86401})").lifetime == 24h);
    CHECK(parse_token_answer(R"({"token":"a","expires_in":0})").lifetime == 60s);
    CHECK(parse_token_answer(R"({"token":"a","expires_in":"300"})").lifetime == 60s);
    CHECK(parse_token_answer(R"({"token":"a","expires_in":2.9})").lifetime == 2s);
    CHECK(parse_token_answer(R"({"token":"a","access_token":"b"})").value == "a");
    CHECK(parse_token_answer(R"({"token":"","access_token":"b"})").value == "b");
    const std::string longest(48 * 1024, 'x');
    CHECK(parse_token_answer(R"({"token":")" + longest + "\"}").value == longest);
    for (const std::string& bad : {longest + "x", std::string("\xc3\xa9"), std::string("a\x7f"), std::string("a ")})
        CHECK(error_of([&] { parse_token_answer(R"({"token":")" + bad + "\"}"); }).message() ==
              "the token server's answer holds a token that cannot be sent");
}

TEST_CASE("all but unreserved characters are encoded") {
    const std::string plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    CHECK(percent_encode(plain) == plain);
    for (int c = 0; c < 256; ++c) {
        const char text[] = {static_cast<char>(c)};
        const std::string encoded = percent_encode({text, 1});
        if (c != 0 && plain.find(static_cast<char>(c)) != std::string::npos)
            continue;
        REQUIRE(encoded.size() == 3);
        CHECK(encoded[0] == '%');
        CHECK(std::stoi(encoded.substr(1), nullptr, 16) == c);
    }
    CHECK(percent_encode("\xff/") == "%FF%2F");
}

TEST_CASE("a port is written where it is not the scheme's own") {
    for (const auto& [text, shown] : {std::pair{"https://r.test/", "r.test"},
                                      {"https://r.test:80/", "r.test:80"},
                                      {"http://r.test:80/", "r.test"},
                                      {"http://r.test:443/", "r.test:443"},
                                      {"https://[2001:db8::1]/", "[2001:db8::1]"},
                                      {"https://R.TEST:5000/", "r.test:5000"}})
        CHECK(parse_url(text).host_and_port() == shown);
    CHECK(parse_url("https://r.test").path_and_query == "/");
    CHECK(resolve_url(parse_url("https://r.test/a/b?c"), "?d=1").text() == "https://r.test/a/b?d=1");
    CHECK(resolve_url(parse_url("https://r.test/a/b"), "../../x").text() == "https://r.test/x");
    for (const char* location : {" /x", "/x y", "/x\n", "\x7f"})
        CHECK(error_of([&] { resolve_url(parse_url("https://r.test/"), location); }).kind() == ErrorKind::external);
    for (const char* host : {"127.0.0.1", "127.255.255.255", "[::1]", "::1", "localhost", "a.localhost"})
        CHECK(is_loopback(host));
    for (const char* host : {"", "localhost.test", "xlocalhost", "127.0.0.1.test", "127.0.0", "1.127.0.0.1", "[::2]",
                             "12.7.0.0.1", "127.0.0.x"})
        CHECK_FALSE(is_loopback(host));
}

TEST_CASE("headers are found whatever their letters, the first of a name first") {
    HttpHeaders headers;
    headers.add("Content-Type", "a");
    headers.add("LINK", "1");
    headers.add("link", "2");
    CHECK(headers.find("content-type") == "a");
    CHECK(headers.find("Link") == "1");
    CHECK(headers.find_all("lInK") == std::vector<std::string>{"1", "2"});
    CHECK(headers.find("Content-Typ") == std::nullopt);
    CHECK(headers.find("Content-Types") == std::nullopt);
    CHECK(headers.find_all("x").empty());
    CHECK(headers.entries().size() == 3);
    CHECK(to_string(HttpMethod::get) == "GET");
    CHECK(to_string(HttpMethod::head) == "HEAD");
    CHECK(to_string(HttpMethod::post) == "POST");
    CHECK(to_string(HttpMethod::put) == "PUT");
    CHECK(to_string(HttpMethod::patch) == "PATCH");
    CHECK(to_string(HttpMethod::remove) == "DELETE");
}

TEST_CASE("a body can be read again from anywhere") {
    const std::string text = "0123456789";
    const BytesBody bytes(std::as_bytes(std::span(text.data(), text.size())));
    CHECK(bytes.size() == 10);
    char part[3];
    bytes.read_at(4, std::as_writable_bytes(std::span(part)));
    CHECK(std::string_view(part, 3) == "456");
    bytes.read_at(0, std::as_writable_bytes(std::span(part)));
    CHECK(std::string_view(part, 3) == "012");
}
