#include "runner/qemu/notify.hpp"

#include <catch2/catch.hpp>
#include <sys/socket.h>

#include <array>
#include <string_view>

using namespace vm2oci;

TEST_CASE("systemd's notices are lines of names and values") {
    const NotifyMessage ready = parse_notify_message("READY=1\nSTATUS=Ready.\n");
    CHECK(ready.ready);
    CHECK(ready.status == "Ready.");
    const NotifyMessage unit = parse_notify_message("X_SYSTEMD_UNIT_ACTIVE=multi-user.target");
    CHECK_FALSE(unit.ready);
    CHECK(unit.active_units == std::vector<std::string>{"multi-user.target"});
    CHECK_FALSE(parse_notify_message("READY=0\nREADY\n=1\n\nXREADY=1").ready);
    CHECK(parse_notify_message("").active_units.empty());
    std::string many;
    for (int i = 0; i < 1000; ++i)
        many += "X_SYSTEMD_UNIT_ACTIVE=a\n";
    CHECK(parse_notify_message(many).active_units.size() <= 64);
}

TEST_CASE("notices are read as they come, and connections that have ended are dropped") {
    std::vector<UniqueFd> guests;
    std::vector<UniqueFd> connections;
    for (int i = 0; i < 2; ++i) {
        std::array<int, 2> pair{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) == 0);
        guests.emplace_back(pair[0]);
        connections.emplace_back(pair[1]);
    }
    CHECK(read_notify_messages(connections).empty());
    const auto say = [&](std::size_t guest, std::string_view text) {
        REQUIRE(::send(guests[guest].get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    };
    say(0, "X_SYSTEMD_UNIT_ACTIVE=ssh.service");
    say(1, "READY=1\nSTATUS=Startup finished.");
    guests[1] = UniqueFd();
    const std::vector<NotifyMessage> messages = read_notify_messages(connections);
    REQUIRE(messages.size() == 2);
    CHECK_FALSE(messages[0].ready);
    CHECK(messages[0].active_units == std::vector<std::string>{"ssh.service"});
    CHECK(messages[1].ready);
    CHECK(read_notify_messages(connections).empty());
    CHECK(connections.size() == 1);
}

TEST_CASE("a machine without vsock says what it lacks") {
    std::string problem;
    CHECK_FALSE(NotifyChannel::open(problem, "/nonexistent/vhost-vsock"));
    CHECK(problem == "/nonexistent/vhost-vsock cannot be opened: No such file or directory");
}
