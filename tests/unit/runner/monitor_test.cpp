#include "formats/base/error.hpp"
#include "runner/qemu/monitor.hpp"
#include "runner/qemu/picture.hpp"
#include "runner/qemu/usernet.hpp"

#include <catch2/catch.hpp>
#include <zlib.h>

using namespace vm2oci;

namespace {

MonitorMessage one(std::string_view line) {
    MonitorParser parser;
    const auto messages = parser.feed(std::string(line) + "\r\n");
    REQUIRE(messages.size() == 1);
    return messages[0];
}

} // namespace

TEST_CASE("the monitor's messages are told apart") {
    const MonitorMessage greeting = one(
        R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}})");
    CHECK(greeting.kind == MonitorMessageKind::greeting);
    CHECK(greeting.text == "7.2.22");
    const MonitorMessage result = one(R"({"return": {}, "id": 3})");
    CHECK(result.kind == MonitorMessageKind::result);
    CHECK(result.id == 3);
    CHECK(one(R"({"return": "table", "id": 4})").text == "table");
    const MonitorMessage error = one(R"({"id": 2, "error": {"class": "GenericError", "desc": "no"}})");
    CHECK(error.kind == MonitorMessageKind::error);
    CHECK(error.text == "no");
    const MonitorMessage reset = one(R"({"event": "RESET", "data": {"guest": true, "reason": "guest-reset"}})");
    CHECK(reset.kind == MonitorMessageKind::event);
    CHECK(reset.text == "RESET");
    CHECK(reset.guest_reason == "guest-reset");
    const MonitorMessage port = one(R"({"event": "VSERPORT_CHANGE", "data": {"open": true, "id": "agent"}})");
    CHECK(port.port == "agent");
    CHECK(port.port_open);
}

TEST_CASE("messages may come in any pieces") {
    const std::string text = "{\"event\": \"STOP\"}\r\n\r\n{\"event\": \"RESUME\"}\n";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        MonitorParser parser;
        auto messages = parser.feed(std::string_view(text).substr(0, cut));
        for (MonitorMessage& message : parser.feed(std::string_view(text).substr(cut)))
            messages.push_back(std::move(message));
        REQUIRE(messages.size() == 2);
        CHECK(messages[0].text == "STOP");
        CHECK(messages[1].text == "RESUME");
    }
}

TEST_CASE("what a monitor that was taken over might say is refused or harmless") {
    MonitorParser garbage;
    CHECK_THROWS_AS(garbage.feed("no json\n"), Error);
    MonitorParser array;
    CHECK_THROWS_AS(array.feed("[1]\n"), Error);
    MonitorParser endless;
    CHECK_THROWS_AS(endless.feed(std::string(kMonitorLineLimit + 1, ' ')), Error);
    MonitorParser deep;
    CHECK_THROWS_AS(deep.feed(std::string(500000, '[') + "\n"), Error);
    CHECK(one(R"({"event": 5, "data": {"open": "yes", "id": 7}})").text.empty());
    CHECK(one(R"({"QMP": {"version": 1}})").text.empty());
    CHECK(one(R"({"return": {}, "id": -1})").id == 0);
    MonitorParser other;
    CHECK(other.feed("{\"something\": 1}\n").empty());
}

TEST_CASE("commands are lines of JSON") {
    CHECK(monitor_command("cont", 1) == "{\"execute\":\"cont\",\"id\":1}\n");
    CHECK(monitor_command("x", 2, "{\"a\":1}") == "{\"execute\":\"x\",\"id\":2,\"arguments\":{\"a\":1}}\n");
}

TEST_CASE("only an established connection proves that a port is open") {
    const std::string head = "Hub -1 (n):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port\r\n";
    const std::string waiting = "  TCP[SYN_SENT]       8       127.0.0.1 25599       10.0.2.15    22     0     0\r\n";
    const std::string open = "  TCP[ESTABLISHED]    8       127.0.0.1 25599       10.0.2.15    22     0     0\r\n";
    const std::string listening = "  TCP[HOST_FORWARD]   3       127.0.0.1 25599       10.0.2.15    22     0     0\r\n";
    CHECK_FALSE(usernet_established(head + waiting + listening, 25599));
    CHECK(usernet_established(head + listening + open, 25599));
    CHECK_FALSE(usernet_established(head + open, 2559));
    CHECK_FALSE(usernet_established("", 25599));
}

TEST_CASE("a screen becomes a PNG that holds its pixels") {
    const std::string ppm = std::string("P6\n2 1\n255\n") + std::string("\x01\x02\x03\xff\xfe\xfd", 6);
    const auto png = png_from_ppm(std::as_bytes(std::span(ppm.data(), ppm.size())));
    REQUIRE(png.size() > 45);
    const std::string_view text(reinterpret_cast<const char*>(png.data()), png.size());
    CHECK(text.substr(0, 8) == "\x89PNG\r\n\x1a\n");
    CHECK(text.substr(12, 12) == std::string_view("IHDR\0\0\0\2\0\0\0\1", 12));
    const std::size_t data = text.find("IDAT") + 4;
    const std::size_t end = text.find("IEND");
    std::string row(7, '?');
    uLongf size = row.size();
    REQUIRE(::uncompress(reinterpret_cast<Bytef*>(row.data()), &size,
                         reinterpret_cast<const Bytef*>(text.data() + data), end - 8 - data) == Z_OK);
    CHECK(row == std::string("\0\x01\x02\x03\xff\xfe\xfd", 7));
}

TEST_CASE("what is no picture gives none") {
    for (const std::string text : {"", "P6", "P6\n", "P5\n1 1\n255\nabc", "P6\n1 1\n255\nab", "P6\n0 1\n255\n",
                                   "P6\n99999 1\n255\nabc", "P6\n1 1\n65535\nabcdef", "P6\n8192 8192\n255\nabc"})
        CHECK(png_from_ppm(std::as_bytes(std::span(text.data(), text.size()))).empty());
}
