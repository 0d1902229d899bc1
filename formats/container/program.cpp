#include "formats/container/program.hpp"

#include "formats/base/error.hpp"

#include <charconv>
#include <functional>
#include <map>
#include <set>

namespace vm2oci {
namespace {

constexpr std::string_view kProgramVersion = "1";

class ProgramWriter {
  public:
    void text(std::string_view name, std::string_view value) {
        if (value.find('\0') != std::string_view::npos)
            fail(ErrorKind::unsafe, "a text of the image's configuration holds a NUL, which no program can be given");
        out_.append(name).append("=").append(value).push_back('\0');
        if (out_.size() > kMaxProgramBytes)
            fail(ErrorKind::limit, "the image's configuration has more arguments and variables than are passed on");
    }
    void number(std::string_view name, std::uint32_t value) { text(name, std::to_string(value)); }
    void list(std::string_view name, const std::vector<std::string>& values) {
        for (const std::string& value : values)
            text(name, value);
    }
    std::string take() { return std::move(out_); }

  private:
    std::string out_;
};

std::uint32_t parse_field_number(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        fail(ErrorKind::corrupt, "a number of the program's file is none");
    return value;
}

using Take = std::function<void(std::string_view)>;
using Takers = std::map<std::string_view, Take>;

void require_own_version(std::string_view value) {
    if (value != kProgramVersion)
        fail(ErrorKind::unsupported, "the program's file is of another version than this init's");
}

ProgramRole role_of(std::string_view value) {
    if (value != "init" && value != "child")
        fail(ErrorKind::corrupt, "the program's file has a role that is not known");
    return value == "init" ? ProgramRole::init : ProgramRole::child;
}

// Gives each value to who takes it, those of `lists` as often as they come; which of `fields` there were.
std::set<std::string_view> take_fields(std::string_view bytes, const Takers& fields, const Takers& lists) {
    std::set<std::string_view> seen;
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\0');
        const std::size_t equals = bytes.find('=');
        if (end == std::string_view::npos || equals > end)
            fail(ErrorKind::corrupt, "the program's file ends early");
        const std::string_view name = bytes.substr(0, equals);
        const std::string_view value = bytes.substr(equals + 1, end - equals - 1);
        bytes.remove_prefix(end + 1);
        if (const auto found = lists.find(name); found != lists.end()) {
            found->second(value);
            continue;
        }
        const auto found = fields.find(name);
        if (found == fields.end() || !seen.insert(name).second)
            fail(ErrorKind::corrupt, "the program's file has a field that is not known, or one twice");
        found->second(value);
    }
    return seen;
}

} // namespace

std::string encode_program(const ContainerProgram& program) {
    ProgramWriter out;
    out.text("version", kProgramVersion);
    out.text("role", program.role == ProgramRole::init ? "init" : "child");
    out.list("argument", program.arguments);
    out.number("entrypoint", program.entrypoint);
    out.list("environment", program.environment);
    out.number("uid", program.uid);
    out.number("gid", program.gid);
    for (const std::uint32_t group : program.groups)
        out.number("group", group);
    out.text("folder", program.working_folder);
    out.list("volume", program.volumes);
    out.text("hostname", program.hostname);
    out.number("stop-signal", program.stop_signal);
    if (program.health) {
        out.list("health", program.health->test);
        out.number("health-interval", program.health->interval_seconds);
        out.number("health-timeout", program.health->timeout_seconds);
        out.number("health-start", program.health->start_seconds);
        out.number("health-start-interval", program.health->start_interval_seconds);
        out.number("health-retries", program.health->retries);
    }
    return out.take();
}

ContainerProgram decode_program(std::string_view bytes) {
    ContainerProgram program;
    ProgramHealth health;
    const auto text = [](std::string& into) -> Take { return [&into](std::string_view value) { into = value; }; };
    const auto number = [](std::uint32_t& into) -> Take {
        return [&into](std::string_view value) { into = parse_field_number(value); };
    };
    const auto list = [](std::vector<std::string>& into) -> Take {
        return [&into](std::string_view value) { into.emplace_back(value); };
    };
    const Takers lists = {
        {"argument", list(program.arguments)},
        {"environment", list(program.environment)},
        {"group", [&](std::string_view value) { program.groups.push_back(parse_field_number(value)); }},
        {"volume", list(program.volumes)},
        {"health", list(health.test)}};
    const Takers fields = {{"version", require_own_version},
                           {"role", [&](std::string_view value) { program.role = role_of(value); }},
                           {"entrypoint", number(program.entrypoint)},
                           {"uid", number(program.uid)},
                           {"gid", number(program.gid)},
                           {"folder", text(program.working_folder)},
                           {"hostname", text(program.hostname)},
                           {"stop-signal", number(program.stop_signal)},
                           {"health-interval", number(health.interval_seconds)},
                           {"health-timeout", number(health.timeout_seconds)},
                           {"health-start", number(health.start_seconds)},
                           {"health-start-interval", number(health.start_interval_seconds)},
                           {"health-retries", number(health.retries)}};
    const std::set<std::string_view> seen = take_fields(bytes, fields, lists);
    if (!seen.contains("version") || program.arguments.empty() || program.entrypoint > program.arguments.size() ||
        !program.working_folder.starts_with("/"))
        fail(ErrorKind::corrupt, "the program's file lacks its version, its program or its folder");
    if (!health.test.empty())
        program.health = health;
    return program;
}

} // namespace vm2oci
