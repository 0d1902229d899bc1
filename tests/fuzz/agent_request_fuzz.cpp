// What the guest's program reads: requests of a host, the kernel's command line, flags of a mount, texts of /proc.
#include "guest-kernel/agent/boot_line.hpp"
#include "guest-kernel/agent/facts.hpp"
#include "guest-kernel/agent/mounting.hpp"
#include "guest-kernel/agent/request.hpp"
#include "guest-kernel/agent/text.hpp"

#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace vm2oci::guest;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const ParsedRequest parsed = parse_request(text);
    if (parsed.request.has_value() == !parsed.problem.empty())
        __builtin_trap();
    parse_boot_line(text);
    parse_mount_flags(text);
    listening_ports({{"tcp", std::string(text)}, {"udp", std::string(text)}});
    os_json(text);
    boot_json(text);
    // A quoted string reads back as itself, but for what was no UTF-8.
    const std::string line = "{\"type\":\"a\",\"argv\":[" + json_quote(text) + "]}";
    const bool readable = text.find('\0') == std::string_view::npos;
    if (parse_request(line).request.has_value() != readable)
        __builtin_trap();
    return 0;
}
