#include "formats/base/fd.hpp"
#include "formats/codec/layer_encoder.hpp"
#include "libconvert/registry/answer.hpp"
#include "libconvert/registry/manifests.hpp"
#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::registry;
using test::FakeRegistry;

TEST_CASE("the registry's own words are shown") {
    CHECK(explain_body(FakeRegistry::answer(
              403, R"({"errors":[{"code":"DENIED","message":"no push here","detail":{"repo":"a"}},{"code":"X"}]})")) ==
          R"(DENIED: no push here, {"repo":"a"}; X)");
    CHECK(explain_body(FakeRegistry::answer(401, R"({"details":"incorrect username or password"})")) ==
          "incorrect username or password");
    CHECK(explain_body(FakeRegistry::answer(500, "plain words")) == "'plain words'");
    CHECK(explain_body(FakeRegistry::answer(500, "  \n")).empty());
}

TEST_CASE("HTML is called by its name and terminal codes are escaped") {
    const std::string html = explain_body(FakeRegistry::answer(502, "<html>\x1B[31m<h1>Bad Gateway</h1></html>"));
    CHECK(html.find("HTML") != std::string::npos);
    CHECK(html.find("Bad Gateway") != std::string::npos);
    CHECK(html.find('\x1B') == std::string::npos);
    const std::string json =
        explain_body(FakeRegistry::answer(400, R"({"errors":[{"code":"A\u001b[2J","message":"b\nc"}]})"));
    CHECK(json.find('\x1B') == std::string::npos);
    CHECK(json.find('\n') == std::string::npos);
}

TEST_CASE("an answer that is not what it seems does not confuse") {
    for (const char* body :
         {"{", R"({"errors":5})", R"({"errors":[5,null,{}]})", R"({"errors":{"a":1}})", "{}", "[[[["}) {
        INFO(body);
        CHECK_NOTHROW(explain_body(FakeRegistry::answer(500, body)));
    }
    CHECK(explain_body(FakeRegistry::answer(500, std::string(70000, 'x'))).size() < 300);
}

TEST_CASE("a failed answer becomes one line with the status") {
    try {
        fail_answer("registry.test", FakeRegistry::answer(403, R"({"errors":[{"code":"DENIED","message":"no"}]})"));
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::external);
        CHECK(error.message() == "registry.test answered 403: DENIED: no");
        CHECK(error.hint().kind == HintKind::other_login);
    }
    try {
        fail_answer("registry.test", FakeRegistry::answer(404));
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::not_found);
    }
}

namespace {

std::string gzipped(std::string_view text) {
    class Sink final : public ByteSink {
      public:
        void write(std::span<const std::byte> bytes) override { text.append(as_text(bytes)); }
        std::string text;
    } sink;
    LayerEncoder encoder({Compression::gzip, 6}, sink, {});
    encoder.write(as_bytes(text));
    encoder.finish();
    return sink.text;
}

} // namespace

TEST_CASE("a JSON answer that comes gzip'd is unpacked, and a blob never is") {
    const std::string document = R"({"schemaVersion":2})";
    const auto after = [&](const char* type, const char* encoding, const std::string& body, int status = 200) {
        HttpResponse response = test::FakeRegistry::answer(status, body, {{"Content-Type", type}});
        if (*encoding != '\0')
            response.headers.add("content-encoding", encoding);
        undo_content_encoding(response, 1000);
        return response.body;
    };
    const std::string packed = gzipped(document);
    CHECK(after("application/vnd.oci.image.manifest.v1+json", "gzip", packed) == document);
    CHECK(after("application/json; charset=utf-8", "x-gzip", packed) == document);
    CHECK(after("application/json", "gzip", document) == document); // it only says so
    CHECK(after("application/json", "", packed) == packed);
    CHECK(after("application/octet-stream", "gzip", packed) == packed);
    CHECK(after("application/json", "gzip", packed, 206) == packed);
    CHECK_THROWS_AS(after("application/json", "gzip", packed.substr(0, packed.size() - 5)), Error);
    CHECK_THROWS_AS(after("application/json", "gzip", gzipped(std::string(1001, ' '))), Error);
}

TEST_CASE("a manifest that comes gzip'd has its own digest") {
    test::FakeConnection connection;
    const std::string manifest =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]})";
    connection.server->intercept = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.url.path_and_query.find("/manifests/") == std::string::npos)
            return std::nullopt;
        return test::FakeRegistry::answer(200, gzipped(manifest),
                                          {{"Content-Type", media_type::oci_index},
                                           {"Content-Encoding", "gzip"},
                                           {"Docker-Content-Digest", Digest::of(manifest).text()}});
    };
    const std::optional<FetchedManifest> found = fetch_manifest(*connection.client, Digest::of(manifest).text());
    REQUIRE(found);
    CHECK(found->bytes == manifest);
}
