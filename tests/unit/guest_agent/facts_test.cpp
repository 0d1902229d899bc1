#include "guest-kernel/agent/facts.hpp"
#include <catch2/catch.hpp>

using namespace vm2oci::guest;
using Texts = std::vector<std::string>;

TEST_CASE("os-release becomes JSON") {
    CHECK(os_json("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n") ==
          R"json({"id":"debian","version_id":"12","pretty_name":"Debian GNU/Linux 12 (bookworm)"})json");
    CHECK(os_json("# ID=x\nID='arch'\nNAME=\"a \\\"b\\\"\"\n") == R"({"id":"arch"})");
    CHECK(os_json("PRETTY_NAME=\"say \\\"x\\\"\"") == R"({"pretty_name":"say \"x\""})");
    CHECK(os_json("") == "{}");
}

TEST_CASE("listening ports are those that others can reach") {
    const std::string heading =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const SocketTable tcp{"tcp", heading + "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000\n"
                                           "   1: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000\n"
                                           "   2: 0F02000A:0016 0202000A:D431 01 00000000:00000000 00:00000000\n"
                                           "   3: 00000000:ZZZZ 00000000:0000 0A\n   4: 00000000 00000000:0000 0A\n"};
    const SocketTable tcp6{"tcp",
                           heading + "   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000"
                                     " 0A 00000000:00000000\n"
                                     "   1: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000"
                                     " 0A 00000000:00000000\n"
                                     "   2: 0000000000000000FFFF00000100007F:1539 00000000000000000000000000000000:0000"
                                     " 0A 00000000:00000000\n"
                                     "   3: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000"
                                     " 0A 00000000:00000000\n"};
    const SocketTable udp{"udp", heading + "   0: 3500007F:0035 00000000:0000 07 00000000:00000000\n"
                                           "   1: 0F02000A:0044 00000000:0000 07 00000000:00000000\n"};
    CHECK(listening_ports({tcp, tcp6, udp}) == Texts{"tcp/22", "tcp/8080", "udp/68"});
    CHECK(listening_ports({{"tcp", ""}, {"udp", heading}}).empty());
}

TEST_CASE("systemd's lists are read") {
    CHECK(unit_names("ssh.service loaded active running OpenBSD Secure Shell server\n-.mount loaded active mounted /\n"
                     "\n0 loaded units listed.\n") == Texts{"-.mount", "ssh.service"});
    CHECK(module_names("virtio_net 73728 0 - Live 0x0\next4 983040 1 - Live 0x0\n") == Texts{"ext4", "virtio_net"});
    CHECK(
        boot_json("InitRDTimestampMonotonic=0\nUserspaceTimestampMonotonic=2123456\nFinishTimestampMonotonic=9000999\n"
                  "FinishTimestampMonotonicX=1\n") == R"({"kernel":0,"userspace":2123,"finish":9000})");
    CHECK(boot_json("UserspaceTimestampMonotonic=\nFinishTimestampMonotonic=x") == R"({"kernel":0})");
}
