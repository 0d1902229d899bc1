#include "runner/agent/own_session.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace std::chrono_literals;

namespace {

std::string taken(OwnAgentSession& agent) {
    return std::exchange(agent.output(), {});
}

OwnAgentSession greeted() {
    OwnAgentSession agent;
    agent.feed("{\"type\":\"hello\",\"version\":1,\"kernel\":\"6.1.0\",\"uptime_ms\":900}\n", 1s);
    REQUIRE(agent.hello());
    return agent;
}

} // namespace

TEST_CASE("our agent says hello, and then that the system is up") {
    OwnAgentSession agent;
    agent.feed("{\"type\":\"hel", 1s);
    CHECK_FALSE(agent.hello());
    agent.feed(
        "lo\",\"version\":1,\"kernel\":\"6.1.0\"}\n{\"type\":\"ready\",\"uptime_ms\":8123,\"state\":\"degraded\","
        "\"os\":{\"id\":\"debian\",\"pretty_name\":\"Debian 12\"},\"addresses\":[\"10.0.2.15\"],"
        "\"units_failed\":[\"erp.service\"]}\n",
        1s);
    REQUIRE(agent.hello());
    CHECK(agent.hello()->version == 1);
    CHECK(agent.hello()->kernel == "6.1.0");
    REQUIRE(agent.ready());
    CHECK(agent.ready()->uptime == 8123ms);
    CHECK(agent.ready()->state == "degraded");
    CHECK(agent.ready()->os_name == "Debian 12");
    CHECK(agent.ready()->addresses == std::vector<std::string>{"10.0.2.15"});
    CHECK(agent.ready()->units_failed == std::vector<std::string>{"erp.service"});
}

TEST_CASE("commands run in our agent one after the other") {
    OwnAgentSession agent = greeted();
    std::vector<ExecResult> results;
    const auto keep = [&](ExecResult result) { results.push_back(std::move(result)); };
    agent.execute("systemctl is-active \"nginx\"", 1500ms, keep);
    agent.execute("false", 1s, keep);
    agent.tick(2s);
    CHECK(taken(agent) == "{\"argv\":[\"/bin/sh\",\"-c\",\"systemctl is-active \\\"nginx\\\"\"],\"id\":1,"
                          "\"timeout_s\":2,\"type\":\"exec\"}\n");
    // Somebody else's answer is none.
    agent.feed("{\"type\":\"exec-result\",\"id\":7,\"exit\":9}\n", 2s);
    CHECK(results.empty());
    agent.feed("{\"type\":\"exec-result\",\"id\":1,\"exit\":0,\"stdout\":\"YWN0aXZlCg==\",\"stderr\":\"d2hhdA==\"}\n",
               3s);
    REQUIRE(results.size() == 1);
    CHECK(results[0].exit_code == 0);
    CHECK(results[0].output == "active\nwhat");
    CHECK(taken(agent).find("\"id\":2") != std::string::npos);
    agent.feed("{\"type\":\"error\",\"id\":2,\"message\":\"too many commands run already\"}\n", 3s);
    REQUIRE(results.size() == 2);
    CHECK_FALSE(results[1].exit_code);
    CHECK(results[1].problem == "the agent refused it: too many commands run already");
}

TEST_CASE("a command that our agent never answers is given up") {
    OwnAgentSession agent = greeted();
    std::optional<ExecResult> result;
    agent.execute("sleep 1000", 10s, [&](ExecResult done) { result = std::move(done); });
    agent.tick(1s);
    agent.tick(11s);
    CHECK_FALSE(result); // the agent's own limit is as long
    agent.tick(16s);
    REQUIRE(result);
    CHECK(result->problem == "it did not end within 10 s");

    result.reset();
    agent.execute("true", 10s, [&](ExecResult done) { result = std::move(done); });
    agent.tick(17s);
    agent.port_closed();
    REQUIRE(result);
    CHECK(result->problem == "the agent closed its channel");
}

TEST_CASE("what our agent says is bounded and never trusted") {
    OwnAgentSession agent = greeted();
    agent.feed(std::string(3 * kOwnAgentLineLimit, 'x') + "\n{\"type\":\"ready\",\"uptime_ms\":-5,\"os\":7}\n", 1s);
    REQUIRE(agent.ready()); // the line behind the long one is heard
    CHECK(agent.ready()->uptime == 0ms);

    OwnAgentFacts facts;
    agent.ask_facts([&](const OwnAgentFacts& found) { facts = found; });
    std::string list;
    for (std::size_t i = 0; i < kOwnAgentListLimit + 5; ++i)
        list += "\"u\",";
    agent.feed("{\"type\":\"facts\",\"units\":[" + list + "3],\"listening\":[\"tcp/22\",null,\"" +
                   std::string(kOwnAgentTextLimit + 5, 'y') + "\"]}\n",
               1s);
    CHECK(facts.units.size() == kOwnAgentListLimit);
    REQUIRE(facts.listening.size() == 2);
    CHECK(facts.listening[1].size() == kOwnAgentTextLimit);

    std::optional<ExecResult> result;
    agent.execute("yes", 1s, [&](ExecResult done) { result = std::move(done); });
    agent.tick(2s);
    agent.feed("{\"type\":\"exec-result\",\"id\":2,\"exit\":4000000000,\"stdout\":\"" + std::string(600 * 1024, 'A') +
                   "\"}\n",
               2s);
    REQUIRE(result);
    CHECK_FALSE(result->exit_code);
    CHECK(result->output.size() == kAgentOutputLimit);
}

TEST_CASE("signals and a terminal's size wait for our agent") {
    OwnAgentSession agent;
    agent.pass_signal(15);
    agent.resize(24, 80);
    agent.resize(50, 132);
    CHECK(agent.output().empty());
    agent.feed("{\"type\":\"hello\",\"version\":1,\"kernel\":\"6.1.0\"}\n", 1s);
    CHECK(taken(agent) == "{\"type\":\"resize\",\"id\":1,\"rows\":50,\"columns\":132}\n"
                          "{\"type\":\"signal\",\"id\":2,\"signal\":15}\n");
    agent.resize(10, 20);
    CHECK(taken(agent) == "{\"type\":\"resize\",\"id\":3,\"rows\":10,\"columns\":20}\n");
}
