#include "formats/base/base64.hpp"
#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::registry;
using namespace std::chrono_literals;
using test::FakeConnection;
using test::FakeRegistry;

namespace {

// A registry that wants tokens of https://auth.test/token; each token is good until `revoked` names it.
struct TokenServer {
    unsigned issued = 0;
    std::string revoked;
    std::string scheme = "https";
    std::vector<HttpRequest> token_requests;
    std::vector<std::string> token_forms;

    std::optional<HttpResponse> operator()(const HttpRequest& request) {
        if (request.url.host == "auth.test") {
            token_requests.push_back(request);
            if (request.body != nullptr) {
                std::string form(request.body->size(), '\0');
                request.body->read_at(0, std::as_writable_bytes(std::span(form.data(), form.size())));
                token_forms.push_back(form);
            }
            return FakeRegistry::answer(200, R"({"token":"t)" + std::to_string(++issued) + R"(","expires_in":300})");
        }
        const auto authorization = request.headers.find("Authorization");
        if (!authorization || *authorization == "Bearer " + revoked)
            return FakeRegistry::answer(
                401, R"({"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]})",
                {{"WWW-Authenticate", "Bearer realm=\"" + scheme + "://auth.test/token\",service=\"the registry\""}});
        return std::nullopt;
    }
};

Call head_call(const RegistryClient& client) {
    Call call;
    call.request.method = HttpMethod::head;
    call.request.url = client.url("blobs/sha256:0");
    return call;
}

} // namespace

TEST_CASE("a bearer token is fetched once and kept") {
    FakeConnection connection(Credentials{"user", "pass", ""});
    auto server = std::make_shared<TokenServer>();
    connection.server->intercept = [server](const HttpRequest& request) { return (*server)(request); };
    connection.client->ping();
    CHECK(connection.client->call(head_call(*connection.client)).response.status == 404);
    CHECK(connection.client->call(head_call(*connection.client)).response.status == 404);
    REQUIRE(server->token_requests.size() == 1);
    CHECK(server->token_requests[0].url.text() ==
          "https://auth.test/token?service=the%20registry&scope=repository%3Ateam%2Fdisk%3Apull&account=user");
    CHECK(server->token_requests[0].headers.find("Authorization") == "Basic " + encode_base64("user:pass"));
    CHECK(connection.server->seen.back().headers.find("Authorization") == "Bearer t1");
}

TEST_CASE("an expired token is renewed before it is used") {
    FakeConnection connection;
    auto server = std::make_shared<TokenServer>();
    connection.server->intercept = [server](const HttpRequest& request) { return (*server)(request); };
    connection.client->call(head_call(*connection.client));
    connection.clock->advance(296s);
    connection.client->call(head_call(*connection.client));
    CHECK(server->issued == 2);
    CHECK(connection.server->seen.back().headers.find("Authorization") == "Bearer t2");
    CHECK(server->token_requests[0].headers.find("Authorization") == std::nullopt); // anonymous
}

TEST_CASE("a token that is refused in the middle is replaced once") {
    FakeConnection connection;
    auto server = std::make_shared<TokenServer>();
    connection.server->intercept = [server](const HttpRequest& request) { return (*server)(request); };
    connection.client->call(head_call(*connection.client));
    server->revoked = "t1";
    CHECK(connection.client->call(head_call(*connection.client)).response.status == 404);
    CHECK(server->issued == 2);
}

TEST_CASE("who is refused with every token gets the refusal") {
    FakeConnection connection;
    connection.server->intercept = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.url.host == "auth.test")
            return FakeRegistry::answer(200, R"({"token":"t"})");
        return FakeRegistry::answer(401, "", {{"WWW-Authenticate", R"(Bearer realm="https://auth.test/")"}});
    };
    CHECK(connection.client->call(head_call(*connection.client)).response.status == 401);
    CHECK(connection.server->seen.size() < 12);
}

TEST_CASE("basic credentials are sent when they are asked for, and only once if they are wrong") {
    FakeConnection connection(Credentials{"user", "wrong", ""});
    connection.server->intercept = [](const HttpRequest&) {
        return FakeRegistry::answer(401, "", {{"WWW-Authenticate", "Basic realm=x"}});
    };
    CHECK(connection.client->call(head_call(*connection.client)).response.status == 401);
    REQUIRE(connection.server->seen.size() == 2);
    CHECK(connection.server->seen[0].headers.find("Authorization") == std::nullopt);
    CHECK(connection.server->seen[1].headers.find("Authorization") == "Basic " + encode_base64("user:wrong"));
}

TEST_CASE("an identity token is exchanged by a form, not in the address") {
    FakeConnection connection(Credentials{"", "", "identity&1"});
    auto server = std::make_shared<TokenServer>();
    connection.server->intercept = [server](const HttpRequest& request) { return (*server)(request); };
    connection.client->call(head_call(*connection.client));
    REQUIRE(server->token_forms.size() == 1);
    CHECK(server->token_forms[0].find("grant_type=refresh_token") != std::string::npos);
    CHECK(server->token_forms[0].find("refresh_token=identity%261") != std::string::npos);
    CHECK(server->token_requests[0].url.text() == "https://auth.test/token");
}

TEST_CASE("a login never travels in the clear because a registry says so") {
    FakeConnection connection(Credentials{"user", "pass", ""});
    auto server = std::make_shared<TokenServer>();
    server->scheme = "http";
    connection.server->intercept = [server](const HttpRequest& request) { return (*server)(request); };
    try {
        connection.client->call(head_call(*connection.client));
        FAIL("it was sent");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::unsafe);
    }
    CHECK(server->token_requests.empty());
}

TEST_CASE("the scope that the registry wants is asked for") {
    FakeConnection connection;
    bool satisfied = false;
    connection.server->intercept = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.url.host == "auth.test") {
            satisfied = request.url.path_and_query.find("repository%3Ateam%2Fdisk%3Adelete") != std::string::npos;
            return FakeRegistry::answer(200, R"({"token":"t"})");
        }
        if (!satisfied)
            return FakeRegistry::answer(
                401, "",
                {{"WWW-Authenticate", R"(Bearer realm="https://auth.test/",scope="repository:team/disk:delete")"}});
        return std::nullopt;
    };
    CHECK(connection.client->call(head_call(*connection.client)).response.status == 404);
    CHECK(satisfied);
}

TEST_CASE("what the token server says is told") {
    FakeConnection connection(Credentials{"user", "s3cret", ""});
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.url.host == "auth.test")
            return FakeRegistry::answer(401, R"({"details":"incorrect username or password"})");
        return FakeRegistry::answer(401, "", {{"WWW-Authenticate", R"(Bearer realm="https://auth.test/")"}});
    };
    try {
        connection.client->call(head_call(*connection.client));
        FAIL("it passed");
    } catch (const Error& error) {
        const std::string text = error.what();
        CHECK(text.find("auth.test answered 401: incorrect username or password") != std::string::npos);
        CHECK(text.find("s3cret") == std::string::npos);
    }
}

namespace {

class BrokenLogin final : public CredentialSource {
  public:
    std::optional<Credentials> find(std::string_view, std::string_view) const override {
        fail(ErrorKind::external, "login file /home/x/auth.json: it is not a JSON object");
    }
};

// A client whose login files are broken.
std::shared_ptr<RegistryClient> client_without_login(FakeRegistry*& server) {
    auto transport = std::make_unique<FakeRegistry>();
    server = transport.get();
    return std::make_shared<RegistryClient>(
        RegistryIdentity{"registry.test", "team/disk", parse_url("https://registry.test/")},
        RegistryClient::Parts{std::move(transport), std::make_unique<test::FakeClock>(),
                              std::make_unique<BrokenLogin>()});
}

Call get_call(const RegistryClient& client) {
    Call call;
    call.request.url = client.url("manifests/v1");
    return call;
}

} // namespace

TEST_CASE("broken login files do not stop what needs no login") {
    FakeRegistry* server = nullptr;
    const auto client = client_without_login(server);
    auto tokens = std::make_shared<TokenServer>();
    server->intercept = [tokens](const HttpRequest& request) { return (*tokens)(request); };
    CHECK(client->call(get_call(*client)).response.status == 404);
    REQUIRE(tokens->token_requests.size() == 1);
    CHECK_FALSE(tokens->token_requests[0].headers.find("Authorization"));
}

TEST_CASE("broken login files are told when a login is needed") {
    for (const bool by_token_server : {false, true}) {
        FakeRegistry* server = nullptr;
        const auto client = client_without_login(server);
        const char* challenge =
            by_token_server ? "Bearer realm=\"https://auth.test/token\",service=\"x\"" : "Basic realm=\"x\"";
        server->intercept = [challenge](const HttpRequest&) {
            return FakeRegistry::answer(401, "", {{"WWW-Authenticate", challenge}});
        };
        CHECK_THROWS_WITH(client->call(get_call(*client)),
                          Catch::Contains("/home/x/auth.json") && Catch::Contains("answered 401"));
    }
}
