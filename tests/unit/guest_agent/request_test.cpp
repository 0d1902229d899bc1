#include "guest-kernel/agent/request.hpp"
#include <catch2/catch.hpp>

using namespace vm2oci::guest;

TEST_CASE("requests are read") {
    const auto [ping, none] = parse_request(R"( {"type":"ping"} )");
    REQUIRE(ping);
    CHECK(ping->type == "ping");
    CHECK_FALSE(ping->id);
    CHECK(none.empty());
    const auto exec = parse_request(
        R"({"id":7,"argv":["sh","-c","echo \"a\tb\" \u00e4\ud83d\ude00\/"],"timeout_s":5,"type":"exec"})");
    REQUIRE(exec.request);
    CHECK(exec.request->id == 7);
    CHECK(exec.request->arguments == std::vector<std::string>{"sh", "-c", "echo \"a\tb\" ä😀/"});
    CHECK(exec.request->timeout_seconds == 5);
    const auto more =
        parse_request(R"({"later":{"a":[1,{"b":"}]"}],"c":null},"x":-1.5e3,"y":true,"z":[],"type":"facts","argv":[]})");
    REQUIRE(more.request);
    CHECK(more.request->type == "facts");
    CHECK(more.request->arguments.empty());
    CHECK(more.request->timeout_seconds == kDefaultTimeoutSeconds);
}

TEST_CASE("what is no request says why") {
    for (const char* line : {"",
                             "[]",
                             "ping",
                             "{",
                             "{}",
                             R"({"type":"a")",
                             R"({"type":"a"}x)",
                             R"({"type":"a",})",
                             R"({"type":5})",
                             R"({"type":"a","id":1.5})",
                             R"({"type":"a","id":"1"})",
                             R"({"type":"a","id":99999999999999999999})",
                             R"({"type":"a","argv":"x"})",
                             R"({"type":"a","argv":["x",1]})",
                             R"({"type":"a","argv":["x"})",
                             R"({"type":"a","argv":["\u0000"]})",
                             R"({"type":"a","timeout_s":0})",
                             R"({"type":"a","timeout_s":86401})",
                             R"({"type":"\ud800"})",
                             R"({"type":"\udc00"})",
                             R"({"type":"\u12"})",
                             R"({"type":"\x"})",
                             R"({"type":"a)",
                             R"({"type":"a","b":]})",
                             R"({"type":"a","b":[})",
                             R"({"type" "a"})",
                             "{\"type\":\"a\nb\"}"}) {
        CAPTURE(line);
        const auto [request, problem] = parse_request(line);
        CHECK_FALSE(request);
        CHECK_FALSE(problem.empty());
    }
}

TEST_CASE("requests nested without end are refused without a stack that grows") {
    CHECK_FALSE(parse_request(R"({"type":"a","b":)" + std::string(60000, '[')).request);
    CHECK(parse_request(R"({"type":"a","b":)" + std::string(30000, '[') + std::string(30000, ']') + "}").request);
}

TEST_CASE("arguments have a limit") {
    std::string list = R"({"type":"exec","argv":["a")";
    for (int i = 1; i < 1024; ++i)
        list += R"(,"a")";
    CHECK(parse_request(list + "]}").request);
    CHECK_FALSE(parse_request(list + R"(,"a"]})").request);
}
