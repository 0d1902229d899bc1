#include "guest-kernel/agent/container_root.hpp"
#include "guest-kernel/agent/dhcp.hpp"
#include "guest-kernel/agent/network.hpp"
#include "guest-kernel/agent/program_start.hpp"
#include <catch2/catch.hpp>

#include <string>

using namespace vm2oci;
using namespace vm2oci::guest;

namespace {

constexpr MacAddress kMac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
constexpr std::uint32_t kTransaction = 0x01020304;

// An answer to a message: the same bytes, as a server turns them round.
std::string answer(DhcpKind kind, const std::string& options) {
    std::string message = dhcp_message(DhcpKind::discover, kMac, kTransaction, {}).substr(0, 240);
    message[0] = 2;
    message.replace(16, 4, std::string("\x0a\x00\x02\x0f", 4));
    message += std::string("\x35\x01", 2) + static_cast<char>(kind);
    return message + options + '\xff';
}

std::optional<DhcpReply> read(const std::string& bytes) {
    return parse_dhcp_reply(bytes, kMac, kTransaction);
}

} // namespace

TEST_CASE("a lease is read from an answer") {
    const std::string options = std::string("\x01\x04\xff\xff\x00\x00", 6) +
                                std::string("\x03\x04\x0a\x00\x02\x02", 6) +
                                std::string("\x06\x08\x0a\x00\x02\x03\x08\x08\x08\x08", 10) +
                                "\x0f\x0b"
                                "example.org" +
                                std::string("\x1a\x02\x05\xdc", 4) + std::string("\x33\x04\x00\x01\x51\x80", 6) +
                                std::string("\x36\x04\x0a\x00\x02\x02", 6) + std::string("\x00\x00\xfe\x01x", 5);
    const auto reply = read(answer(DhcpKind::acknowledge, options));
    REQUIRE(reply);
    CHECK(reply->kind == DhcpKind::acknowledge);
    CHECK(ipv4_text(reply->lease.address) == "10.0.2.15");
    CHECK(ipv4_text(reply->lease.netmask) == "255.255.0.0");
    CHECK(ipv4_text(reply->lease.gateway) == "10.0.2.2");
    CHECK(ipv4_text(reply->lease.server) == "10.0.2.2");
    REQUIRE(reply->lease.name_servers.size() == 2);
    CHECK(ipv4_text(reply->lease.name_servers[1]) == "8.8.8.8");
    CHECK(reply->lease.domain == "example.org");
    CHECK(reply->lease.mtu == 1500);
    CHECK(reply->lease.seconds == 86400);
}

TEST_CASE("what is no answer to ours is passed over, however long it is") {
    const std::string good = answer(DhcpKind::offer, "");
    CHECK(read(good));
    for (std::size_t size = 0; size < good.size() - 1; ++size)
        CHECK_FALSE((size < 243 && read(good.substr(0, size))));
    CHECK_FALSE(parse_dhcp_reply(good, kMac, kTransaction + 1));
    CHECK_FALSE(parse_dhcp_reply(good, {1, 2, 3, 4, 5, 6}, kTransaction));
    CHECK_FALSE(read(answer(static_cast<DhcpKind>(1), "")));
    CHECK_FALSE(read(answer(DhcpKind::offer, std::string("\x03\xff\x01", 3))));
    // A name with a line in it is none.
    CHECK(read(answer(DhcpKind::offer, "\x0f\x05"
                                       "a\nb c"))
              ->lease.domain.empty());
}

TEST_CASE("a request says which lease it wants") {
    DhcpLease wanted;
    wanted.address = 0x0a00020f;
    wanted.server = 0x0a000202;
    const std::string message = dhcp_message(DhcpKind::request, kMac, kTransaction, wanted);
    CHECK(message.size() >= 300);
    CHECK(message.substr(236, 4) == "\x63\x82\x53\x63");
    CHECK(message.find(std::string("\x32\x04\x0a\x00\x02\x0f", 6)) != std::string::npos);
    CHECK(message.find(std::string("\x36\x04\x0a\x00\x02\x02", 6)) != std::string::npos);
    CHECK(message.substr(28, 6) == std::string("\x52\x54\x00\x12\x34\x56", 6));
}

TEST_CASE("names that a container finds") {
    CHECK(hosts_text("", "web", "") ==
          "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\tweb\n");
    CHECK(hosts_text("127.0.0.1 localhost # here\n10.0.0.9 db", "web", "10.0.2.15") ==
          "127.0.0.1 localhost # here\n10.0.0.9 db\n10.0.2.15\tweb\n");
    CHECK(hosts_text("# localhost\n", "web", "").find("127.0.0.1\tlocalhost") != std::string::npos);
    CHECK(resolver_text({"", {"10.0.2.3", "8.8.8.8"}, "example.org"}) ==
          "search example.org\nnameserver 10.0.2.3\nnameserver 8.8.8.8\n");
    CHECK(resolver_text({"", {}, "example.org"}).empty());
    const NetworkNames names =
        parse_kernel_names("#MANUAL\ndomain example.org\nnameserver 10.0.2.3\nnameserver 0.0.0.0\n");
    CHECK(names.name_servers == std::vector<std::string>{"10.0.2.3"});
    CHECK(names.domain == "example.org");
}

TEST_CASE("where a program may be") {
    using Places = std::vector<std::string>;
    CHECK(places_of("sh", {"A=1", "PATH=/opt/bin:/bin"}) == Places{"/opt/bin/sh", "/bin/sh"});
    CHECK(places_of("sh", {"PATH=:/bin:"}) == Places{"./sh", "/bin/sh", "./sh"});
    CHECK(places_of("/bin/sh", {"PATH=/opt"}) == Places{"/bin/sh"});
    CHECK(places_of("./sh", {}) == Places{"./sh"});
    CHECK(places_of("sh", {}).empty());
    CHECK(places_of("", {"PATH=/bin"}).empty());
}
