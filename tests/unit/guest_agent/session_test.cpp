#include "tests/support/temporary_folder.hpp"

#include "guest-kernel/agent/port.hpp"
#include "guest-kernel/agent/session.hpp"
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace vm2oci::guest;
using nlohmann::json;

namespace {

std::vector<json> take(Session& session) {
    std::vector<json> messages;
    std::string& output = session.output();
    while (!output.empty()) {
        const std::size_t end = output.find('\n');
        REQUIRE(end != std::string::npos);
        messages.push_back(json::parse(output.substr(0, end)));
        output.erase(0, end + 1);
    }
    return messages;
}

} // namespace

TEST_CASE("the agent says hello and answers") {
    Session session;
    session.connected();
    const auto hello = take(session);
    REQUIRE(hello.size() == 1);
    CHECK(hello[0]["type"] == "hello");
    CHECK(hello[0]["version"] == 1);
    CHECK(hello[0]["kernel"].is_string());
    CHECK(hello[0]["uptime_ms"].is_number_unsigned());
    session.feed("{\"type\":\"pi");
    CHECK(take(session).empty());
    session.feed("ng\",\"id\":3}\n\n{\"type\":\"ping\"}\n");
    const auto pongs = take(session);
    REQUIRE(pongs.size() == 2);
    CHECK(pongs[0] == json{{"type", "pong"}, {"id", 3}});
    CHECK(pongs[1] == json{{"type", "pong"}});
}

TEST_CASE("the agent refuses in words and goes on") {
    Session session;
    session.feed("nonsense\n{\"type\":\"dance\",\"id\":1}\n{\"type\":\"exec\",\"id\":2}\n");
    session.feed(std::string(kRequestLimit + 1, 'a'));
    session.feed(std::string(kRequestLimit, 'a') + "\n{\"type\":\"ping\"}\n");
    const auto messages = take(session);
    REQUIRE(messages.size() == 5);
    CHECK(messages[0]["type"] == "error");
    CHECK(messages[1]["id"] == 1);
    CHECK(messages[2]["message"] == "\"argv\" is missing or empty");
    CHECK(messages[3]["message"] == "the request is longer than 64 KiB");
    CHECK(messages[4]["type"] == "pong");
}

TEST_CASE("a host that comes back is greeted again and gets nothing of the old talk") {
    Session session;
    session.feed("{\"type\":\"ping\"}\n{\"type\":\"pi");
    session.connected();
    session.feed("{\"type\":\"ping\",\"id\":9}\n");
    const auto messages = take(session);
    REQUIRE(messages.size() == 2);
    CHECK(messages[0]["type"] == "hello");
    CHECK(messages[1]["id"] == 9);
}

TEST_CASE("the port is found by its name") {
    const vm2oci::test::TemporaryFolder made;
    const std::filesystem::path& folder = made.path();
    const auto ports = folder / "sys/class/virtio-ports";
    std::filesystem::create_directories(ports / "vport0p1");
    std::filesystem::create_directories(ports / "vport1p2");
    std::ofstream(ports / "vport0p1/name") << "org.qemu.guest_agent.0\n";
    CHECK(find_port(vm2oci::kAgentPort, folder / "sys", folder / "dev").empty());
    std::ofstream(ports / "vport1p2/name") << "org.vm2oci.agent.0\n";
    CHECK(find_port(vm2oci::kAgentPort, folder / "sys", "/dev") == "/dev/vport1p2");
}

TEST_CASE("signals are for the program of a container") {
    std::vector<int> passed;
    ContainerReach container;
    container.signal = [&](int signal) {
        passed.push_back(signal);
        return signal != 9;
    };
    Session session(container);
    session.feed("{\"type\":\"signal\",\"id\":1,\"signal\":15}\n{\"type\":\"signal\",\"id\":2,\"signal\":9}\n"
                 "{\"type\":\"signal\",\"id\":3}\n{\"type\":\"signal\",\"id\":4,\"signal\":65}\n");
    const auto answers = take(session);
    REQUIRE(answers.size() == 4);
    CHECK(answers[0] == json{{"type", "signalled"}, {"id", 1}});
    for (std::size_t i = 1; i < answers.size(); ++i)
        CHECK(answers[i]["type"] == "error");
    CHECK(passed == std::vector<int>{15, 9});
    Session other;
    other.feed("{\"type\":\"signal\",\"signal\":15}\n");
    CHECK(take(other)[0]["type"] == "error");
}

TEST_CASE("a terminal's size is for the program of a container") {
    std::vector<std::pair<int, int>> sizes;
    ContainerReach container;
    container.resize = [&](int rows, int columns) {
        sizes.emplace_back(rows, columns);
        return rows != 1;
    };
    Session session(container);
    session.feed("{\"type\":\"resize\",\"id\":1,\"rows\":50,\"columns\":132}\n"
                 "{\"type\":\"resize\",\"id\":2,\"rows\":1,\"columns\":1}\n{\"type\":\"resize\",\"id\":3,\"rows\":50}\n"
                 "{\"type\":\"resize\",\"id\":4,\"rows\":0,\"columns\":80}\n"
                 "{\"type\":\"resize\",\"id\":5,\"rows\":24,\"columns\":65536}\n");
    const auto answers = take(session);
    REQUIRE(answers.size() == 5);
    CHECK(answers[0] == json{{"type", "resized"}, {"id", 1}});
    for (std::size_t i = 1; i < answers.size(); ++i)
        CHECK(answers[i]["type"] == "error");
    CHECK(sizes == std::vector<std::pair<int, int>>{{50, 132}, {1, 1}});
    Session other;
    other.feed("{\"type\":\"resize\",\"rows\":24,\"columns\":80}\n");
    CHECK(take(other)[0]["type"] == "error");
}
