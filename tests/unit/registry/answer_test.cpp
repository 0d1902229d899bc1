#include "libconvert/registry/answer.hpp"
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
        CHECK(error.message().starts_with("registry.test answered 403: DENIED: no; if another login"));
    }
    try {
        fail_answer("registry.test", FakeRegistry::answer(404));
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::not_found);
    }
}
