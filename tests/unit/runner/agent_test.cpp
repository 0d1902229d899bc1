#include "runner/agent/agent_session.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace std::chrono_literals;

namespace {

std::string taken(AgentSession& agent) {
    return std::exchange(agent.output(), {});
}

const char* const kInfo = R"({"return": {"version": "7.2.22", "supported_commands": [)"
                          R"({"enabled": true, "name": "guest-ping"}, {"enabled": true, "name": "guest-exec"}]}})"
                          "\n";
const char* const kOs = R"({"return": {"pretty-name": "Debian 12", "kernel-release": "6.1.0"}})"
                        "\n";

AgentSession ready(const char* info = kInfo) {
    AgentSession agent;
    agent.port_opened();
    taken(agent);
    agent.feed("\xff{\"return\": 1}\n", 1s);
    agent.feed(info, 1s);
    agent.feed(kOs, 1s);
    taken(agent);
    REQUIRE(agent.info());
    return agent;
}

} // namespace

TEST_CASE("nothing is asked before the guest opens its port") {
    AgentSession agent;
    agent.tick(10s);
    CHECK(agent.output().empty());
    agent.port_opened();
    CHECK(taken(agent) == "\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":1}}\n");
    // An answer to somebody else's question, then garbage, then ours.
    agent.feed("{\"return\": 77}\nnonsense\n\xff{\"return\": 1}\n", 1s);
    CHECK(taken(agent) == "{\"execute\":\"guest-info\"}\n");
    agent.feed(kInfo, 1s);
    CHECK(taken(agent) == "{\"execute\":\"guest-get-osinfo\"}\n");
    CHECK_FALSE(agent.info());
    agent.feed(kOs, 1s);
    REQUIRE(agent.info());
    CHECK(agent.info()->version == "7.2.22");
    CHECK(agent.info()->os_name == "Debian 12");
    CHECK(agent.info()->kernel == "6.1.0");
    CHECK(agent.info()->can_execute);
}

TEST_CASE("an agent that forbids guest-exec says so") {
    const AgentSession agent =
        ready("{\"return\": {\"version\": \"1\", \"supported_commands\": [{\"enabled\": false, \"name\": "
              "\"guest-exec\"}]}}\n");
    CHECK_FALSE(agent.info()->can_execute);
}

TEST_CASE("a command runs, is polled, and gives its exit code and output") {
    AgentSession agent = ready();
    std::optional<ExecResult> result;
    agent.execute("echo \"hi\"", 60s, [&](ExecResult done) { result = std::move(done); });
    agent.tick(2s);
    CHECK(taken(agent) == "{\"execute\":\"guest-exec\",\"arguments\":{\"arg\":[\"-c\",\"echo \\\"hi\\\"\"],"
                          "\"capture-output\":true,\"path\":\"/bin/sh\"}}\n");
    agent.feed("{\"return\": {\"pid\": 42}}\n", 2s);
    agent.tick(2s);
    CHECK(agent.output().empty());
    agent.tick(3s);
    CHECK(taken(agent) == "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":42}}\n");
    agent.feed("{\"return\": {\"exited\": false}}\n", 3s);
    agent.tick(4s);
    taken(agent);
    agent.feed(
        "{\"return\": {\"exited\": true, \"exitcode\": 3, \"out-data\": \"aGkK\", \"err-data\": \"b29wcw==\"}}\n", 4s);
    REQUIRE(result);
    CHECK(result->exit_code == 3);
    CHECK(result->output == "hi\noops");
    CHECK(agent.idle());
}

TEST_CASE("commands wait for one another") {
    AgentSession agent = ready();
    int done = 0;
    agent.execute("one", 60s, [&](ExecResult) { ++done; });
    agent.execute("two", 60s, [&](ExecResult) { ++done; });
    agent.tick(2s);
    CHECK(taken(agent).find("two") == std::string::npos);
    agent.feed("{\"error\": {\"class\": \"x\", \"desc\": \"no\"}}\n", 2s);
    CHECK(done == 1);
    agent.tick(2s);
    CHECK(taken(agent).find("two") != std::string::npos);
}

TEST_CASE("a command that cannot run says why") {
    const auto problem_of = [](const char* answer) {
        AgentSession agent = ready();
        std::optional<ExecResult> result;
        agent.execute("x", 10s, [&](ExecResult done) { result = std::move(done); });
        agent.tick(2s);
        agent.feed(answer, 2s);
        agent.tick(12s);
        REQUIRE(result);
        CHECK_FALSE(result->exit_code);
        return result->problem;
    };
    CHECK(problem_of("{\"error\": {\"desc\": \"disabled\"}}\n") == "disabled");
    CHECK(problem_of("{\"return\": {}}\n") == "the agent did not start it");
    CHECK(problem_of("{\"return\": {\"pid\": 1}}\n") == "it did not end within 10 s");
    CHECK(problem_of("not json\n") == "it did not end within 10 s");
}

TEST_CASE("a closed port ends what was running, and opening begins anew") {
    AgentSession agent = ready();
    std::optional<ExecResult> result;
    agent.execute("x", 10s, [&](ExecResult done) { result = std::move(done); });
    agent.tick(2s);
    agent.port_closed();
    REQUIRE(result);
    CHECK(result->problem == "the agent closed its channel");
    CHECK(agent.output().empty());
    agent.port_opened();
    CHECK(taken(agent).find("\"id\":2") != std::string::npos);
}

TEST_CASE("an agent that never ends a line costs bounded memory and no trouble") {
    AgentSession agent = ready();
    for (int i = 0; i < 10; ++i)
        agent.feed(std::string(1024 * 1024, 'x'), 2s);
    agent.feed("\n", 2s);
    CHECK(agent.idle());
}

TEST_CASE("a late answer about a command that was given up is not taken for the next one's") {
    AgentSession agent = ready();
    std::vector<ExecResult> results;
    const auto keep = [&](ExecResult done) { results.push_back(std::move(done)); };
    for (const char* command : {"one", "two", "three"})
        agent.execute(command, 10s, keep);
    agent.tick(2s);
    taken(agent);
    agent.tick(12s); // the agent has not even said that it started
    REQUIRE(results.size() == 1);
    CHECK(results[0].problem == "it did not end within 10 s");
    CHECK(taken(agent).empty());
    CHECK_FALSE(agent.idle());
    agent.feed("{\"return\": {\"pid\": 5}}\n", 13s);
    CHECK(taken(agent).find("two") != std::string::npos);
    agent.feed("{\"return\": {\"pid\": 9}}\n", 13s);
    agent.tick(14s);
    CHECK(taken(agent) == "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":9}}\n");
    // The same where its state was asked for.
    agent.tick(23s);
    REQUIRE(results.size() == 2);
    agent.feed("{\"return\": {\"exited\": true, \"exitcode\": 0}}\n", 23s);
    CHECK(results.size() == 2);
    CHECK(taken(agent).find("three") != std::string::npos);
    agent.feed("{\"return\": {\"pid\": 11}}\n", 23s);
    agent.tick(24s);
    CHECK(taken(agent) == "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":11}}\n");
    agent.feed("{\"return\": {\"exited\": true, \"exitcode\": 7}}\n", 24s);
    REQUIRE(results.size() == 3);
    CHECK(results[2].command == "three");
    CHECK(results[2].exit_code == 7);
    CHECK(agent.idle());
}

TEST_CASE("an agent that never answers again holds each command up for its limit, and once more at most") {
    AgentSession agent = ready();
    std::vector<ExecResult> results;
    const auto keep = [&](ExecResult done) { results.push_back(std::move(done)); };
    agent.execute("one", 10s, keep);
    agent.execute("two", 10s, keep);
    agent.tick(2s);
    taken(agent);
    agent.tick(12s);
    CHECK(results.size() == 1);
    agent.tick(21999ms);
    CHECK(taken(agent).empty());
    agent.tick(22s);
    CHECK(taken(agent).find("two") != std::string::npos);
    CHECK(results.size() == 1); // each is told once
    agent.tick(32s);
    REQUIRE(results.size() == 2);
    CHECK(results[1].command == "two");
    CHECK(agent.idle()); // nothing waits behind the last
}

TEST_CASE("what the guest says of an end is taken as it is meant") {
    struct Row {
        const char* answer;
        std::optional<int> exit_code;
        const char* problem;
        const char* output;
    };
    const Row rows[] = {
        {R"({"exited": true, "exitcode": 0})", 0, "", ""},
        {R"({"exited": true, "exitcode": 255, "err-data": "eA=="})", 255, "", "x"},
        {R"({"exited": true, "signal": 9, "out-data": "eQ=="})", std::nullopt, "it was killed by a signal", "y"},
        {R"({"exited": true, "exitcode": "0"})", std::nullopt, "it was killed by a signal", ""},
        {R"({"exited": true, "exitcode": 0, "out-data": "!!", "err-data": 7})", 0, "", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.answer);
        AgentSession agent = ready();
        std::optional<ExecResult> result;
        agent.execute("x", 10s, [&](ExecResult done) { result = std::move(done); });
        agent.tick(2s);
        agent.feed("{\"return\": {\"pid\": 1}}\n", 2s);
        agent.tick(2099ms);
        CHECK(taken(agent).find("status") == std::string::npos);
        agent.tick(2100ms);
        CHECK(taken(agent).find("status") != std::string::npos);
        agent.feed(std::string("{\"return\": ") + row.answer + "}\n", 3s);
        REQUIRE(result);
        CHECK(result->exit_code == row.exit_code);
        CHECK(result->problem == row.problem);
        CHECK(result->output == row.output);
    }
}
