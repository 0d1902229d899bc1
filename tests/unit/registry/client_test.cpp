#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::registry;
using test::FakeConnection;
using test::FakeRegistry;

namespace {

Call get_call(const RegistryClient& client) {
    Call call;
    call.request.url = client.url("blobs/sha256:0");
    return call;
}

// Wants basic credentials, then redirects to `target`.
auto redirecting_to(std::string target, int status = 307) {
    return [target, status](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.url.host != "registry.test")
            return FakeRegistry::answer(200, "the blob");
        if (!request.headers.find("Authorization"))
            return FakeRegistry::answer(401, "", {{"WWW-Authenticate", "Basic realm=x"}});
        return FakeRegistry::answer(status, "", {{"Location", target}});
    };
}

} // namespace

TEST_CASE("a redirect to another host is followed without credentials") {
    FakeConnection connection(Credentials{"user", "pass", ""});
    connection.server->intercept = redirecting_to("https://storage.test/x?signature=1");
    const Answer answer = connection.client->call(get_call(*connection.client));
    CHECK(answer.response.status == 200);
    CHECK(answer.response.body == "the blob");
    CHECK(answer.url.host == "storage.test");
    CHECK(connection.server->seen.back().url == "https://storage.test/x?signature=1");
    CHECK(connection.server->seen.back().headers.find("Authorization") == std::nullopt);
}

TEST_CASE("another port and another scheme are other places") {
    for (const char* target : {"https://registry.test:444/x", "https://sub.registry.test/x"}) {
        FakeConnection connection(Credentials{"user", "pass", ""});
        connection.server->intercept = [target](const HttpRequest& request) -> std::optional<HttpResponse> {
            if (request.url.text() == target)
                return FakeRegistry::answer(200);
            return redirecting_to(target)(request);
        };
        CHECK(connection.client->call(get_call(*connection.client)).response.status == 200);
        CHECK(connection.server->seen.back().url == target);
        CHECK(connection.server->seen.back().headers.find("Authorization") == std::nullopt);
    }
}

TEST_CASE("a stranger that asks for credentials gets none") {
    FakeConnection connection(Credentials{"user", "pass", ""});
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.url.host == "evil.test")
            return FakeRegistry::answer(401, "", {{"WWW-Authenticate", R"(Bearer realm="https://evil.test/token")"}});
        return redirecting_to("https://evil.test/x")(request);
    };
    CHECK(connection.client->call(get_call(*connection.client)).response.status == 401);
    for (const test::SeenRequest& one : connection.server->seen) {
        if (one.url.find("evil.test") != std::string::npos) {
            CHECK(one.headers.find("Authorization") == std::nullopt);
        }
    }
    CHECK(connection.server->count("evil.test/token") == 0);
}

TEST_CASE("https never becomes http") {
    FakeConnection connection(Credentials{"user", "pass", ""});
    connection.server->intercept = redirecting_to("http://registry.test/x");
    try {
        connection.client->call(get_call(*connection.client));
        FAIL("it was followed");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::unsafe);
    }
}

TEST_CASE("redirects end") {
    FakeConnection connection;
    connection.server->intercept = [](const HttpRequest&) {
        return FakeRegistry::answer(302, "", {{"Location", "/v2/again"}});
    };
    CHECK_THROWS_AS(connection.client->call(get_call(*connection.client)), Error);
    CHECK(connection.server->seen.size() == kMaxRedirects + 1);
}

TEST_CASE("a body is sent again only where the redirect keeps the method") {
    FakeConnection connection(Credentials{"user", "pass", ""});
    const std::string text = "content";
    const BytesBody body(as_bytes(text));
    Call call = get_call(*connection.client);
    call.request.method = HttpMethod::put;
    call.request.body = &body;
    SECTION("307") {
        connection.server->intercept = redirecting_to("https://storage.test/x", 307);
        CHECK(connection.client->call(call).response.status == 200);
        CHECK(connection.server->seen.back().body_size == 7);
    }
    SECTION("302") {
        connection.server->intercept = redirecting_to("https://storage.test/x", 302);
        CHECK(connection.client->call(call).response.status == 302);
    }
}

TEST_CASE("what is no registry is told apart") {
    FakeConnection connection;
    connection.server->intercept = [](const HttpRequest&) {
        return FakeRegistry::answer(404, "<html>Welcome to the printer</html>");
    };
    try {
        connection.client->ping();
        FAIL("it was taken for one");
    } catch (const Error& error) {
        CHECK(std::string(error.what()).find("is this a registry?") != std::string::npos);
        CHECK(std::string(error.what()).find("Welcome to the printer") != std::string::npos);
    }
}
