// QEMU's monitor, the guest agents and systemd's notices, all of which may be in the hands of a guest.
#include "formats/base/error.hpp"
#include "runner/agent/agent_session.hpp"
#include "runner/agent/own_session.hpp"
#include "runner/qemu/monitor.hpp"
#include "runner/qemu/notify.hpp"
#include "runner/qemu/picture.hpp"
#include "runner/qemu/usernet.hpp"

#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace vm2oci;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    try {
        MonitorParser parser;
        parser.feed(input);
    } catch (const Error&) {
    }
    AgentSession agent;
    agent.port_opened();
    // The handshake is played right, so that what follows is heard.
    agent.feed("\xff{\"return\": 1}\n", std::chrono::milliseconds(1));
    agent.execute("true", std::chrono::milliseconds(900), [](const ExecResult&) {});
    for (std::size_t at = 0; at < input.size(); at += 50) {
        const std::chrono::milliseconds now(at);
        agent.feed(input.substr(at, 50), now);
        agent.tick(now);
        agent.output().clear();
    }
    agent.port_closed();
    OwnAgentSession own_agent;
    own_agent.feed("{\"type\":\"hello\",\"version\":1}\n", std::chrono::milliseconds(1));
    own_agent.execute("true", std::chrono::milliseconds(900), [](const ExecResult&) {});
    own_agent.ask_facts([](const OwnAgentFacts&) {});
    for (std::size_t at = 0; at < input.size(); at += 50) {
        own_agent.feed(input.substr(at, 50), std::chrono::milliseconds(at));
        own_agent.tick(std::chrono::milliseconds(at));
        own_agent.output().clear();
    }
    own_agent.port_closed();
    parse_notify_message(input);
    usernet_established(input, 22);
    png_from_ppm(std::as_bytes(std::span(data, size)));
    return 0;
}
