// `vm2oci run IMAGE [COMMAND…]`.
#include "tools/flows/run.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/package/architecture.hpp"
#include "libconvert/source/proven_layers.hpp"
#include "tools/vm2oci/boot_options.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/help.hpp"
#include "tools/vm2oci/image_words.hpp"
#include "tools/vm2oci/option_values.hpp"
#include "tools/vm2oci/program_display.hpp"
#include "tools/vm2oci/registry_options.hpp"

#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ostream>
#include <string_view>

namespace vm2oci::cli {
namespace {

struct RunArguments {
    std::string image;
    std::vector<std::string> command;
    std::string architecture;
    std::vector<std::string> environment;
    std::string hostname;
    std::string address;
    bool verify = false;
    std::shared_ptr<RegistryArguments> registry;
    std::shared_ptr<BootTestOptions> machine;
};

// As a word of a kernel's command line.
std::string terminal_type() {
    const char* type = std::getenv("TERM");
    const std::string text = type == nullptr ? "" : type;
    const bool is_plain = !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                                  "0123456789-_.+") == std::string::npos;
    return is_plain ? text : "linux";
}

constexpr std::array<std::string_view, 5> kAddressSetups = {"off", "none", "dhcp", "on", "any"};

bool is_setup(std::string_view word) {
    return std::find(kAddressSetups.begin(), kAddressSetups.end(), word) != kAddressSetups.end();
}

bool is_ipv4(const std::string& text) {
    in_addr address{};
    return ::inet_pton(AF_INET, text.c_str(), &address) == 1 && address.s_addr != 0;
}

std::vector<std::string> fields_of(std::string_view text) {
    std::vector<std::string> fields;
    while (true) {
        const std::size_t end = text.find(':');
        fields.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos)
            return fields;
        text.remove_prefix(end + 1);
    }
}

// The kernel's words for an address, as one word of its command line. What the guest would not understand it would pass
// over.
bool is_address(const std::string& text) {
    enum Field : std::size_t { client, server, gateway, netmask, host, device, setup, name_server, second, time, end };
    if (text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_") !=
        std::string::npos)
        return false;
    std::vector<std::string> fields = fields_of(text);
    if (fields.size() == 1 && is_setup(text))
        return true;
    if (fields.size() > end)
        return false;
    fields.resize(end);
    for (const Field field : {server, gateway, netmask, name_server, second})
        if (!fields[field].empty() && !is_ipv4(fields[field]))
            return false;
    return fields[client].empty() ? is_setup(fields[setup]) : is_ipv4(fields[client]);
}

std::string address_of(const RunArguments& arguments, const BootRequest& machine) {
    const std::string& text = arguments.address;
    if (text.empty())
        return text;
    if (!is_address(text))
        fail(ErrorKind::usage, "--ip takes off, or the kernel's words for an address, such as "
                               "10.0.2.15::10.0.2.2:255.255.255.0::eth0:off:10.0.2.3, not " +
                                   quote_untrusted(text));
    if (machine.network == NetworkMode::none && text != "off" && text != "none")
        fail(ErrorKind::usage, "--ip needs --network user: without it the machine has no card");
    return text;
}

RunRequest request_of(const RunArguments& arguments, ProgramDisplay::Use use) {
    RunRequest request;
    request.source.name = arguments.image;
    request.source.reference = parse_image_only(arguments.image, "run");
    request.source.source.registry = arguments.registry->options();
    request.source.source.layer_cache = user_layer_cache();
    request.source.check = arguments.verify ? ContentCheck::whole : ContentCheck::parts;
    if (!arguments.architecture.empty())
        request.architecture = parse_architecture(arguments.architecture);
    parse_pairs(arguments.environment, "--env");
    if (!arguments.hostname.empty())
        check_hostname(arguments.hostname);
    request.program = {arguments.command, arguments.environment, arguments.hostname};
    if (use == ProgramDisplay::Use::terminal)
        request.terminal_size = terminal_size();
    request.terminal = use == ProgramDisplay::Use::terminal ? terminal_type() : "";
    request.machine = arguments.machine->request();
    request.address = address_of(arguments, request.machine);
    return request;
}

// The last lines tell why.
void print_end_of(std::string_view messages, std::ostream& err) {
    constexpr std::ptrdiff_t shown = 10;
    std::vector<std::string_view> lines;
    while (!messages.empty()) {
        const std::string_view line = messages.substr(0, messages.find('\n'));
        messages.remove_prefix(std::min(line.size() + 1, messages.size()));
        if (line.find_first_not_of("\r ") != std::string_view::npos)
            lines.push_back(line.substr(0, line.find_last_not_of("\r ") + 1));
    }
    for (auto line = lines.end() - std::min<std::ptrdiff_t>(shown, std::ssize(lines)); line != lines.end(); ++line)
        err << "  " << escape_untrusted(*line) << '\n';
}

ExitCode run_command(const RunArguments& arguments, Invocation& call) {
    if (call.json())
        fail(ErrorKind::usage, "run prints what the program prints, and no document; leave --json away");
    const bool has_terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
    const auto use = has_terminal ? ProgramDisplay::Use::terminal : ProgramDisplay::Use::streams;
    const RunRequest request = request_of(arguments, use);
    const BootSubject subject = open_run_subject(request, call.operation);
    const ProgramEnd end = [&] {
        ProgramDisplay display(call, use);
        return run_subject(subject, request, display, call.operation);
    }();
    if (end.exit_code)
        return static_cast<ExitCode>(*end.exit_code);
    if (end.was_left)
        return ExitCode::cancelled;
    if (!end.has_started)
        print_end_of(end.messages, call.err);
    fail(ErrorKind::external, "running " + escape_untrusted(arguments.image) + ": " + end.reason);
}

} // namespace

void add_run_command(CommandTable& table) {
    const auto arguments = std::make_shared<RunArguments>();
    CLI::App& command = table.add(
        "run", "Run a container image, or a bundle of one, in a virtual machine of its own, at this terminal",
        {{"vm2oci run oci:images:tool", "what the image says, with its exit code"},
         {"vm2oci run docker://HOST/app:1 sh -c 'id; uname -r'", "another command, straight from a registry"},
         {"vm2oci run --network user --forward 8080:80 oci:images:nginx", "a server that this machine can reach"}},
        [arguments](Invocation& call) { return run_command(*arguments, call); });
    command.add_option("IMAGE", arguments->image, "oci:…, oci-archive:… or docker://…; for this machine's processor")
        ->required();
    command.add_option("COMMAND", arguments->command,
                       "Instead of the image's command, behind its entrypoint; all that follows IMAGE is part of it");
    table.take_words_behind_first(command, arguments->command);
    command.add_option("--arch", arguments->architecture, "Which image of an index (default: this machine's)")
        ->option_text("ARCH")
        ->group(group::source);
    command
        .add_flag("--verify", arguments->verify,
                  "Read a bundle's layers whole first, and hold them against their digests; else only parts are read")
        ->group(group::source);
    command.add_option("--env", arguments->environment, "A variable for the program; repeatable")
        ->option_text("NAME=VALUE")
        ->allow_extra_args(false)
        ->group(group::image);
    command.add_option("--hostname", arguments->hostname, "The machine's name (default: micro-vm)")
        ->option_text("NAME")
        ->group(group::image);
    command
        .add_option("--ip", arguments->address,
                    "The machine's address, in the kernel's words, or off (default: what a DHCP server says)")
        ->option_text("WORDS")
        ->group(group::machine);
    arguments->registry = add_registry_options(command);
    arguments->machine = add_machine_options(command);
}

} // namespace vm2oci::cli
