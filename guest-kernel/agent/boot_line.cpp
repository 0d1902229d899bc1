#include "guest-kernel/agent/boot_line.hpp"

#include <algorithm>
#include <charconv>

namespace vm2oci::guest {
namespace {

constexpr std::uint64_t kLongestWait = 3600;

// The next parameter, without its quotes; false: there is none.
bool take_parameter(std::string_view& rest, std::string& parameter) {
    constexpr std::string_view kSpaces = " \t\r\n";
    parameter.clear();
    rest.remove_prefix(std::min(rest.find_first_not_of(kSpaces), rest.size()));
    if (rest.empty())
        return false;
    bool quoted = false;
    while (!rest.empty() && (quoted || kSpaces.find(rest.front()) == std::string_view::npos)) {
        if (rest.front() == '"')
            quoted = !quoted;
        else
            parameter += rest.front();
        rest.remove_prefix(1);
    }
    return true;
}

void take_overlay(const std::string& value, BootLine& line) {
    line.writable = value == "memory"                  ? Writable::memory
                    : value == "none"                  ? Writable::root
                    : value.empty() || value == "auto" ? Writable::automatic
                                                       : Writable::device;
    line.layer = line.writable == Writable::device ? value : "";
}

// "24x80"; what is none is not known.
TerminalSize parse_size(std::string_view value) {
    const std::size_t cross = std::min(value.find('x'), value.size());
    const std::string_view columns = value.substr(std::min(cross + 1, value.size()));
    const auto parse = [](std::string_view text, std::uint16_t& number) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        return error == std::errc() && end == text.data() + text.size();
    };
    TerminalSize size;
    return parse(value.substr(0, cross), size.rows) && parse(columns, size.columns) ? size : TerminalSize{};
}

} // namespace

BootLine parse_boot_line(std::string_view command_line) {
    BootLine line;
    std::string parameter;
    while (take_parameter(command_line, parameter)) {
        if (parameter == "--")
            break; // what follows is init's
        const std::size_t equals = std::min(parameter.find('='), parameter.size());
        const std::string_view name = std::string_view(parameter).substr(0, equals);
        const std::string value = parameter.substr(std::min(equals + 1, parameter.size()));
        if (name == "root")
            line.root = value;
        else if (name == "rootfstype")
            line.file_system = value.substr(0, value.find(','));
        else if (name == "rootflags")
            line.flags = value;
        else if (name == "vm2oci.file")
            line.file = value;
        else if (name == "init")
            line.init = value;
        else if (parameter == "ro" || parameter == "rw")
            line.read_only = parameter == "ro";
        else if (name == "vm2oci.overlay")
            take_overlay(value, line);
        else if (name == "vm2oci.agent")
            line.agent = value != "0";
        else if (name == "vm2oci.appliance")
            line.appliance = value != "0";
        else if (name == "vm2oci.console")
            line.console = value == "plain" ? ConsoleUse::plain : ConsoleUse::terminal;
        else if (name == "vm2oci.terminal")
            line.terminal = value;
        else if (name == "vm2oci.size")
            line.terminal_size = parse_size(value);
        else if (name == "ip")
            line.address = parse_address_words(value);
        else if (name == "reboot")
            line.reboots_to_end = value.starts_with('k');
        else if (name == "vm2oci.wait")
            std::from_chars(value.data(), value.data() + value.size(), line.wait_seconds);
    }
    line.wait_seconds = std::min(line.wait_seconds, kLongestWait);
    return line;
}

} // namespace vm2oci::guest
