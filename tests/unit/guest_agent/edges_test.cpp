// Where the agent's small readers begin and end: the last byte that is taken, and the first that is not.
#include "tests/support/temporary_folder.hpp"

#include "guest-kernel/agent/address_words.hpp"
#include "guest-kernel/agent/boot_line.hpp"
#include "guest-kernel/agent/container_root.hpp"
#include "guest-kernel/agent/dhcp.hpp"
#include "guest-kernel/agent/facts.hpp"
#include "guest-kernel/agent/mounting.hpp"
#include "guest-kernel/agent/network.hpp"
#include "guest-kernel/agent/request.hpp"
#include "guest-kernel/agent/session.hpp"
#include "guest-kernel/agent/text.hpp"
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sys/mount.h>

#include <algorithm>
#include <fstream>
#include <set>

using namespace vm2oci::guest;
using nlohmann::json;

namespace {

constexpr MacAddress kMac = {0x02, 0, 0, 0xfe, 0xdc, 0xba};
constexpr std::uint32_t kTransaction = 0xdeadbeef;

std::string bytes(std::initializer_list<int> values) {
    std::string text;
    for (const int value : values)
        text += static_cast<char>(value);
    return text;
}

// An answer of a server with these options, put together by RFC 2131's figure 1.
std::string reply(const std::string& options, const std::string& address = bytes({10, 0, 2, 15})) {
    std::string message = bytes({2, 1, 6, 0}) + bytes({0xde, 0xad, 0xbe, 0xef}) + bytes({0, 0, 0x80, 0});
    message += std::string(4, '\0') + address + std::string(8, '\0') + bytes({0x02, 0, 0, 0xfe, 0xdc, 0xba});
    message.resize(236, '\0');
    return message + bytes({0x63, 0x82, 0x53, 0x63}) + options;
}

std::optional<DhcpReply> read(const std::string& message) {
    return parse_dhcp_reply(message, kMac, kTransaction);
}

std::string problem_of(const std::string& line) {
    return parse_request(line).problem;
}

} // namespace

TEST_CASE("UTF-8 in JSON: the first and last of each length, and what lies between them") {
    // RFC 3629, section 4.
    for (const char* good :
         {"\x7e", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xec\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80",
          "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf1\x80\x80\x80", "\xf3\xbf\xbf\xbf", "\xf4\x8f\xbf\xbf"}) {
        const std::string quoted = json_quote(good);
        CHECK(quoted == "\"" + std::string(good) + "\"");
        CHECK(json::parse(quoted) == good);
    }
    for (const char* bad : {"\x80", "\xbf", "\xc1\xbf", "\xc2", "\xc2\x7f", "\xc2\xc0", "\xe0\x9f\xbf", "\xe1\x80",
                            "\xe1\x80\x7f", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff"}) {
        CAPTURE(json(std::vector<int>(bad, bad + std::string(bad).size())).dump());
        CHECK(json_quote(bad).starts_with("\"\\ufffd"));
        CHECK_NOTHROW(json::parse(json_quote(bad)));
    }
    // Whatever byte a guest prints, what is sent is JSON that says the rest.
    for (int byte = 0; byte < 256; ++byte) {
        const std::string text = "a" + bytes({byte}) + "z";
        const std::string parsed = json::parse(json_quote(text));
        CHECK(parsed == (byte < 0x80 ? text : "a\xef\xbf\xbdz"));
    }
}

TEST_CASE("base64 of every length is read back by its definition") {
    const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (int length = 0; length < 70; ++length) {
        const std::string encoded = base64(text);
        CAPTURE(length, encoded);
        CHECK(encoded.size() == (text.size() + 2) / 3 * 4);
        std::string bits;
        for (const char c : encoded)
            if (c != '=')
                for (int bit = 5; bit >= 0; --bit)
                    bits += (alphabet.find(c) >> bit & 1U) != 0 ? '1' : '0';
        std::string decoded;
        for (std::size_t at = 0; at + 8 <= bits.size(); at += 8)
            decoded += static_cast<char>(std::stoi(bits.substr(at, 8), nullptr, 2));
        CHECK(decoded == text);
        CHECK(std::count(encoded.begin(), encoded.end(), '=') == (3 - length % 3) % 3);
        text += static_cast<char>(length * 37 + 200);
    }
}

TEST_CASE("files and folders are read to their limit, and not at all where they are not") {
    const vm2oci::test::TemporaryFolder folder;
    const std::string path = folder.path() / "f";
    std::ofstream(path) << std::string(5000, 'x') << "end";
    CHECK(read_text(path)->size() == 5003);
    CHECK(read_text(path, 5003)->ends_with("end"));
    CHECK(read_text(path, 5002)->ends_with("en"));
    CHECK(read_text(path, 4096)->size() == 4096);
    CHECK(read_text(path, 0)->empty());
    CHECK_FALSE(read_text(path + "x"));
    CHECK_FALSE(read_text(folder.path())); // a folder
    std::ofstream(folder.path() / "Z").flush();
    std::filesystem::create_directory(folder.path() / "a");
    std::ofstream(folder.path() / ".hidden").flush();
    CHECK(list_folder(folder.path()) == std::vector<std::string>{".hidden", "Z", "a", "f"});
    CHECK(list_folder(path).empty());
}

TEST_CASE("behind two dashes the command line is init's") {
    const BootLine line = parse_boot_line("root=/dev/vda ro -- rw root=/dev/vdb single vm2oci.agent");
    CHECK(line.root == "/dev/vda");
    CHECK(line.read_only);
    CHECK_FALSE(line.agent);
    CHECK(parse_boot_line("a=-- root=/dev/vda --x rw").root == "/dev/vda");
    CHECK_FALSE(parse_boot_line("a=-- --x rw").read_only);
}

TEST_CASE("numbers and switches of the command line at their edges") {
    struct Row {
        const char* line;
        std::uint64_t seconds;
    };
    for (const Row& row : {Row{"vm2oci.wait=0", 0}, Row{"vm2oci.wait=3600", 3600}, Row{"vm2oci.wait=3601", 3600},
                           Row{"vm2oci.wait=", 30}, Row{"vm2oci.wait=-5", 30},
                           Row{"vm2oci.wait=99999999999999999999999", 30}, Row{"vm2oci.wait=1 vm2oci.wait=2", 2}}) {
        CAPTURE(row.line);
        CHECK(parse_boot_line(row.line).wait_seconds == row.seconds);
    }
    CHECK(parse_boot_line("vm2oci.size=65535x65535").terminal_size.columns == 65535);
    CHECK(parse_boot_line("vm2oci.size=0x0").terminal_size.rows == 0);
    CHECK(parse_boot_line("vm2oci.size=24x-80").terminal_size.rows == 0);
    CHECK(parse_boot_line("vm2oci.agent=").agent);
    CHECK(parse_boot_line("vm2oci.agent=1").agent);
    CHECK(parse_boot_line("vm2oci.appliance").appliance);
    CHECK_FALSE(parse_boot_line("vm2oci.appliance vm2oci.appliance=0").appliance);
    CHECK(parse_boot_line("vm2oci.console=plain vm2oci.console=other").console == ConsoleUse::terminal);
    CHECK(parse_boot_line("vm2oci.overlay=").writable == Writable::automatic);
    CHECK(parse_boot_line("vm2oci.overlay=/dev/vdb vm2oci.overlay=memory").layer.empty());
    CHECK_FALSE(parse_boot_line("reboot=k reboot=acpi").reboots_to_end);
    CHECK(parse_boot_line("reboot=kbd").reboots_to_end);
    CHECK(parse_boot_line("rootfstype=btrfs,").file_system == "btrfs");
    CHECK(parse_boot_line("rootfstype=,ext4").file_system.empty());
    CHECK(parse_boot_line("\troot=/dev/vda\r\n").root == "/dev/vda");
    CHECK(parse_boot_line("ro\"ot=/dev/v\"da").root == "/dev/vda"); // as the kernel takes quotes away
}

TEST_CASE("a layer goes over what cannot be written to, or over what the line says") {
    struct Row {
        const char* line;
        const char* type;
        bool layered;
    };
    for (const Row& row :
         {Row{"", "ext4", false}, Row{"", "erofs", true}, Row{"", "squashfs", true}, Row{"", "iso9660", true},
          Row{"", "xfs", false}, Row{"vm2oci.overlay=none", "erofs", false}, Row{"vm2oci.overlay=memory", "ext4", true},
          Row{"vm2oci.overlay=/dev/vdb", "xfs", true}, Row{"rw", "erofs", true}}) {
        CAPTURE(row.line, row.type);
        CHECK(is_layered(parse_boot_line(row.line), row.type) == row.layered);
    }
}

TEST_CASE("each flag of mount is its own bit, and what the kernel does not know is the file system's") {
    const std::pair<const char*, unsigned long> flags[] = {{"ro", MS_RDONLY},
                                                           {"nosuid", MS_NOSUID},
                                                           {"nodev", MS_NODEV},
                                                           {"noexec", MS_NOEXEC},
                                                           {"sync", MS_SYNCHRONOUS},
                                                           {"dirsync", MS_DIRSYNC},
                                                           {"noatime", MS_NOATIME},
                                                           {"nodiratime", MS_NODIRATIME},
                                                           {"relatime", MS_RELATIME},
                                                           {"strictatime", MS_STRICTATIME},
                                                           {"rw", 0},
                                                           {"defaults", 0}};
    std::string all;
    unsigned long bits = 0;
    for (const auto& [name, bit] : flags) {
        CAPTURE(name);
        CHECK(parse_mount_flags(name).bits == bit);
        CHECK(parse_mount_flags(name).rest.empty());
        all += std::string(name) + ",";
        bits |= bit;
    }
    CHECK(parse_mount_flags(all + "subvol=@").bits == bits);
    CHECK(parse_mount_flags(all + "subvol=@").rest == "subvol=@");
    for (const char* other : {"ROx", "noatime=1", "subvol=ro", "x-systemd.growfs"})
        CHECK(parse_mount_flags(other).rest == other);
    CHECK(parse_mount_flags(",,a,,b,").rest == "a,b");
}

TEST_CASE("a discover is the message of RFC 2131, byte for byte") {
    std::string expected = bytes({1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0x80, 0}) + std::string(16, '\0') +
                           bytes({0x02, 0, 0, 0xfe, 0xdc, 0xba});
    expected.resize(236, '\0');
    expected += bytes({0x63, 0x82, 0x53, 0x63, 53, 1, 1, 55, 6, 1, 3, 6, 15, 26, 51, 255});
    expected.resize(300, '\0');
    CHECK(dhcp_message(DhcpKind::discover, kMac, kTransaction, {}) == expected);
    DhcpLease wanted;
    wanted.address = 0xc0a80107;
    std::string request =
        expected.substr(0, 240) + bytes({53, 1, 3, 50, 4, 192, 168, 1, 7, 55, 6, 1, 3, 6, 15, 26, 51, 255});
    request.resize(300, '\0');
    CHECK(dhcp_message(DhcpKind::request, kMac, kTransaction, wanted) == request);
}

TEST_CASE("an answer's options have their sizes, and others are passed over") {
    const std::string offer = bytes({53, 1, 2});
    CHECK(read(reply(offer))->kind == DhcpKind::offer);
    CHECK(ipv4_text(read(reply(offer))->lease.netmask) == "255.255.255.0"); // none was said
    CHECK(read(reply(offer))->lease.gateway == 0);
    struct Row {
        std::string options;
        const char* field;
        std::uint32_t value;
    };
    const auto field = [](const DhcpLease& lease, const std::string& name) {
        return name == "netmask"   ? lease.netmask
               : name == "gateway" ? lease.gateway
               : name == "mtu"     ? lease.mtu
               : name == "seconds" ? lease.seconds
                                   : lease.server;
    };
    const Row rows[] = {
        {bytes({1, 4, 255, 255, 255, 248}), "netmask", 0xfffffff8},
        {bytes({1, 3, 255, 255, 255}), "netmask", 0xffffff00},
        {bytes({3, 8, 10, 0, 0, 1, 10, 0, 0, 2}), "gateway", 0x0a000001}, // the first of several
        {bytes({3, 3, 10, 0, 0}), "gateway", 0},
        {bytes({26, 2, 0x23, 0x28}), "mtu", 9000},
        {bytes({26, 4, 0, 0, 5, 220}), "mtu", 0},
        {bytes({51, 4, 0xff, 0xff, 0xff, 0xff}), "seconds", 0xffffffff},
        {bytes({51, 2, 0, 1}), "seconds", 0},
        {bytes({54, 4, 10, 0, 2, 2}), "server", 0x0a000202},
        {bytes({54, 0}), "server", 0},
        {bytes({0, 0, 0, 54, 4, 1, 2, 3, 4}), "server", 0x01020304}, // padding has no size
        {bytes({255, 54, 4, 1, 2, 3, 4}), "server", 0},              // nothing counts behind the end
    };
    for (const Row& row : rows) {
        CAPTURE(row.field, row.value);
        const auto parsed = read(reply(offer + row.options));
        REQUIRE(parsed);
        CHECK(field(parsed->lease, row.field) == row.value);
    }
    const auto servers = read(reply(offer + bytes({6, 10, 8, 8, 8, 8, 8, 8, 4, 4, 1, 1})));
    REQUIRE(servers);
    REQUIRE(servers->lease.name_servers.size() == 2);
    CHECK(ipv4_text(servers->lease.name_servers[1]) == "8.8.4.4");
    const auto domain = [&](const std::string& name) {
        return read(reply(offer + bytes({15, static_cast<int>(name.size())}) + name))->lease.domain;
    };
    CHECK(domain("lan") == "lan");
    CHECK(domain(std::string("lan\0x", 5)) == "lan"); // some servers send the C string's end
    CHECK(domain("a_b").empty());
    CHECK(domain("a b").empty());
    CHECK(domain("a\nnameserver 6.6.6.6").empty());
    CHECK_FALSE(read(reply("")));                          // no kind
    CHECK_FALSE(read(reply(bytes({53, 2, 2, 2}))));        // a kind of two bytes is none
    CHECK_FALSE(read(reply(bytes({53, 1, 3}))));           // a client's
    CHECK_FALSE(read(reply(offer, std::string(4, '\0')))); // no address
    const auto refused = read(reply(bytes({53, 1, 6}), std::string(4, '\0')));
    REQUIRE(refused);
    CHECK(refused->kind == DhcpKind::refuse);
    CHECK_FALSE(read(reply(offer + bytes({1}))));
    CHECK_FALSE(read(reply(offer + bytes({1, 5, 1, 2, 3, 4}))));
    std::string request = reply(offer);
    request[0] = 1;
    CHECK_FALSE(read(request));
    for (const std::size_t at :
         {std::size_t{4}, std::size_t{7}, std::size_t{28}, std::size_t{33}, std::size_t{236}, std::size_t{239}}) {
        CAPTURE(at);
        std::string other = reply(offer);
        other[at] = static_cast<char>(other[at] ^ 1);
        CHECK_FALSE(read(other));
    }
}

TEST_CASE("an answer of any bytes is read within its bounds") {
    const std::string whole =
        reply(bytes({53, 1, 5, 1, 4, 255, 255, 255, 0, 6, 4, 8, 8, 8, 8, 15, 3}) + "lan" + bytes({255}));
    unsigned taken = 0;
    for (std::size_t size = 0; size <= whole.size(); ++size)
        taken += read(std::string(whole.data(), size)) ? 1U : 0U;
    CHECK(taken == 5); // behind each option, and with the end
    for (std::size_t at = 240; at < whole.size(); ++at)
        for (int value = 0; value < 256; ++value) {
            std::string flipped = whole;
            flipped[at] = static_cast<char>(value);
            const auto parsed = read(flipped);
            if (parsed && parsed->lease.name_servers.size() > 63)
                FAIL(at);
        }
}

TEST_CASE("requests: numbers at their edges, escapes, and what comes twice") {
    CHECK(parse_request(R"({"type":"a","id":-9223372036854775808})").request->id == INT64_MIN);
    CHECK(parse_request(R"({"type":"a","id":9223372036854775807})").request->id == INT64_MAX);
    CHECK(problem_of(R"({"type":"a","id":9223372036854775808})") == "\"id\" is no integer");
    CHECK(problem_of(R"({"type":"a","id":1e3})") == "\"id\" is no integer");
    CHECK(parse_request(R"({"type":"a","timeout_s":86400})").request->timeout_seconds == 86400);
    CHECK(parse_request(R"({"type":"a","timeout_s":1})").request->timeout_seconds == 1);
    CHECK(problem_of(R"({"type":"a","timeout_s":-1})") == "\"timeout_s\" is no number of seconds from 1 to 86400");
    CHECK(parse_request(R"({"type":"a","signal":64})").request->signal == 64);
    CHECK(problem_of(R"({"type":"a","signal":0})") == "\"signal\" is no number from 1 to 64");
    CHECK(parse_request(R"({"type":"a","rows":65535,"columns":1})").request->rows == 65535);
    CHECK(parse_request(R"({"type":"a","rows":65535,"columns":1})").request->columns == 1);
    CHECK(problem_of(R"({"type":"a","columns":65536})") == "\"columns\" is no number from 1 to 65535");
    CHECK(problem_of(R"({"type":"a","argv":["a\u0000b"]})") == "\"argv\" holds a NUL");
    CHECK(problem_of(R"({"type":"a"} {})") == "something follows the object");
    CHECK(problem_of(R"({"id":1})") == "it has no \"type\"");
    CHECK(problem_of(R"({"type":""})") == "it has no \"type\"");
    CHECK(problem_of("[1]") == "it is no JSON object");
    CHECK(parse_request(R"({"type":"a","type":"b"})").request->type == "b");
    // RFC 8259, section 7; as nlohmann's parser has it.
    for (const char* text :
         {R"("\"\\\/\b\f\n\r\t")", R"("\u0041\u00e4\u20ac\ud83d\ude00")", R"("\u007f\u0080\u07ff\u0800\uffff")",
          R"("\uD800\uDC00\udbff\udfff")", R"("")", R"("ä€😀")"}) {
        CAPTURE(text);
        const auto parsed = parse_request(std::string(R"({"type":"x","argv":[)") + text + "]}");
        REQUIRE(parsed.request);
        CHECK(parsed.request->arguments == std::vector<std::string>{json::parse(text).get<std::string>()});
    }
    for (const char* text : {R"("\ud800x")", R"("\ud800\u0041")", R"("\ud800\ud800")", R"("\u00g0")", R"("\u-001")",
                             R"("\U0041")", "\"\x1f\"", R"("\)"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_request(std::string(R"({"type":"x","argv":[)") + text + "]}").request);
    }
}

TEST_CASE("a request that was cut anywhere is none, and says so on one line") {
    const std::string whole =
        R"({"type":"exec","id":7,"argv":["sh","-c","a\u00e4"],"timeout_s":5,"x":{"y":[1,"]"]},"rows":3})";
    REQUIRE(parse_request(whole).request);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const ParsedRequest parsed = parse_request(whole.substr(0, size));
        CAPTURE(size);
        CHECK_FALSE(parsed.request);
        CHECK_FALSE(parsed.problem.empty());
        Session session;
        session.feed(whole.substr(0, size) + "\n");
        const std::string answer = session.output();
        CHECK((size == 0 ? answer.empty() : json::parse(answer)["type"] == "error"));
    }
}

TEST_CASE("what listens on a port is told once, whatever it is bound to") {
    const auto ports = [](const char* protocol, const std::string& address, const char* state) {
        return listening_ports({{protocol, "  0: " + address + " 00000000:0000 " + state + " x\n"}});
    };
    using Texts = std::vector<std::string>;
    CHECK(ports("tcp", "00000000:FFFF", "0A") == Texts{"tcp/65535"});
    CHECK(ports("tcp", "00000000:0016", "01").empty());
    CHECK(ports("tcp", "00000000:0016", "07").empty());
    CHECK(ports("udp", "00000000:0044", "07") == Texts{"udp/68"});
    CHECK(ports("udp", "00000000:0044", "0A").empty());
    CHECK(ports("tcp", "FFFF007F:0016", "0A").empty()); // 127.0.255.255
    CHECK(ports("tcp", "7F000001:0016", "0A") == Texts{"tcp/22"});
    CHECK(ports("tcp", "00000000000000000000000001000000:0016", "0A").empty());
    CHECK(ports("tcp", "0000000000000000FFFF00000100007F:0016", "0A").empty());
    CHECK(ports("tcp", "0000000000000000FFFF00000F02000A:0016", "0A") == Texts{"tcp/22"});
    CHECK(ports("tcp", "000080FE00000000000000000100007F:0016", "0A") == Texts{"tcp/22"});
    CHECK(ports("tcp", "00000000:", "0A").empty());
    CHECK(listening_ports({{"tcp", "0: 00000000:0016 x 0A\n0: 0F02000A:0016 x 0A\n0: 00000000:0050 x 0A\n"}}) ==
          Texts{"tcp/22", "tcp/80"});
}

TEST_CASE("values of os-release in each of their quotes") {
    const auto id = [](const std::string& value) {
        const json parsed = json::parse(os_json("ID=" + value + "\n"));
        return parsed.contains("id") ? parsed["id"].get<std::string>() : std::string("-");
    };
    CHECK(id("rocky") == "rocky");
    CHECK(id("\"rocky\"") == "rocky");
    CHECK(id("'rocky'") == "rocky");
    CHECK(id("\"rocky'") == "\"rocky'");
    CHECK(id("\"") == "\"");
    CHECK(id("\"\"") == "-");
    CHECK(id("\"a\\\\b\\$\"") == "a\\b$");
    CHECK(id("'a\\b'") == "a\\b");
    CHECK(id("  x  ") == "x");
    CHECK(json::parse(os_json("ID=a\nID=b\nXID=c\nVERSION_ID=9.3\nnonsense\n")) ==
          json{{"id", "b"}, {"version_id", "9.3"}});
    const vm2oci::test::TemporaryFolder folder;
    CHECK(os_json_of(folder.path()) == "{}");
    std::filesystem::create_directories(folder.path() / "usr/lib");
    std::filesystem::create_directories(folder.path() / "etc");
    std::ofstream(folder.path() / "usr/lib/os-release") << "ID=usr\n";
    CHECK(os_json_of(folder.path()) == R"({"id":"usr"})");
    std::ofstream(folder.path() / "etc/os-release") << "ID=etc\n";
    CHECK(os_json_of(folder.path()) == R"({"id":"etc"})");
}

TEST_CASE("what hosts and resolvers of a container are told") {
    CHECK(hosts_text("127.0.0.1 web localhost\n", "app", "") == "127.0.0.1 web localhost\n127.0.1.1\tapp\n");
    CHECK(hosts_text("127.0.0.1\tlocalhost.localdomain", "app", "10.0.2.15").find("127.0.0.1\tlocalhost\n") !=
          std::string::npos);
    CHECK(resolver_text({"10.0.2.15", {"10.0.2.3"}, ""}) == "nameserver 10.0.2.3\n");
    const NetworkNames names = parse_kernel_names("#PROTO: DHCP\ndomain a b\nnameserver\nbootserver 10.0.2.2\n"
                                                  "nameserver 1.1.1.1\nnameserver 9.9.9.9\n");
    CHECK(names.domain.empty());
    CHECK(names.name_servers == std::vector<std::string>{"1.1.1.1", "9.9.9.9"});
    CHECK(names.address.empty());
}
