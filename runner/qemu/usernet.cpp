#include "runner/qemu/usernet.hpp"

#include "runner/judge/rules.hpp"

#include <fmt/format.h>

namespace vm2oci {

bool usernet_established(std::string_view table, std::uint16_t host_port) {
    // "  TCP[ESTABLISHED]    8       127.0.0.1 25599       10.0.2.15    22     0     0"
    const std::string pattern = fmt::format("TCP[ESTABLISHED]* 127.0.0.1 {} ", host_port);
    while (!table.empty()) {
        const std::size_t end = table.find('\n');
        if (matches_pattern(pattern, table.substr(0, end)))
            return true;
        table.remove_prefix(end == std::string_view::npos ? table.size() : end + 1);
    }
    return false;
}

} // namespace vm2oci
