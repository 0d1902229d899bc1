#include "guest-kernel/agent/session.hpp"

#include "guest-kernel/agent/facts.hpp"
#include "guest-kernel/agent/text.hpp"
#include <unistd.h>

#include <algorithm>

namespace vm2oci::guest {
namespace {

constexpr std::chrono::seconds kStateLimit{600}; // systemd waits for the last job of the boot
constexpr std::chrono::seconds kListLimit{60};
constexpr std::chrono::seconds kLookInterval{1};
// Where neither systemd, OpenRC nor a login prompt shows when the boot is over: it has had this long.
constexpr std::chrono::seconds kUnknownInitLimit{30};
// A host that asks without reading is not answered further.
constexpr std::size_t kPendingLimit = 4ull * 1024 * 1024;

bool systemd_runs() {
    return ::access("/run/systemd/system", F_OK) == 0;
}

bool is_login_program(std::string_view name) {
    return name == "login" || name == "getty" || name.ends_with("getty");
}

bool login_is_offered() {
    const std::vector<std::string> entries = list_folder("/proc");
    return std::any_of(entries.begin(), entries.end(), [](const std::string& entry) {
        if (entry.front() < '0' || entry.front() > '9')
            return false;
        const auto name = read_text("/proc/" + entry + "/comm", 64);
        return name && is_login_program(trim(*name));
    });
}

std::string id_field(const Request& request) {
    return request.id ? ",\"id\":" + std::to_string(*request.id) : std::string();
}

} // namespace

void Session::send(std::string_view type, std::string_view fields) {
    if (output_.size() > kPendingLimit)
        return;
    output_ += "{\"type\":" + json_quote(type);
    output_ += fields;
    output_ += "}\n";
}

void Session::refuse(std::string_view problem, const Request* request) {
    send("error", (request != nullptr ? id_field(*request) : std::string()) + ",\"message\":" + json_quote(problem));
}

void Session::connected() {
    input_.clear();
    output_.clear();
    skipping_ = false;
    send("hello", ",\"version\":1,\"kernel\":" + json_quote(kernel_release()) +
                      ",\"uptime_ms\":" + std::to_string(uptime_milliseconds()));
    output_ += ready_;
}

void Session::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        if (!skipping_)
            input_ += bytes.substr(0, end);
        if (input_.size() > kRequestLimit) {
            refuse("the request is longer than 64 KiB");
            skipping_ = true;
            input_.clear();
        }
        if (end == std::string_view::npos)
            return;
        if (!skipping_ && !trim(input_).empty())
            handle(input_);
        skipping_ = false;
        input_.clear();
        bytes.remove_prefix(end + 1);
    }
}

void Session::handle(std::string_view line) {
    const auto [request, problem] = parse_request(line);
    if (!request) {
        refuse(problem);
    } else if (request->type == "ping") {
        send("pong", id_field(*request));
    } else if (request->type == "exec") {
        execute(*request);
    } else if (request->type == "signal") {
        pass_signal(*request);
    } else if (request->type == "resize") {
        resize(*request);
    } else if (request->type == "facts") {
        send_facts(*request);
    } else {
        refuse("the type of the request is not known: " + request->type, &*request);
    }
}

void Session::execute(const Request& request) {
    if (request.arguments.empty())
        return refuse("\"argv\" is missing or empty", &request);
    if (commands_.full())
        return refuse("too many commands run already", &request);
    commands_.start(
        request.arguments, std::chrono::seconds(request.timeout_seconds), [this, request](const CommandResult& result) {
            send("exec-result", id_field(request) + ",\"exit\":" + std::to_string(result.exit_code) + ",\"stdout\":\"" +
                                    base64(result.output) + "\",\"stderr\":\"" + base64(result.errors) +
                                    "\",\"truncated\":" + (result.truncated ? "true" : "false") +
                                    ",\"timed_out\":" + (result.timed_out ? "true" : "false"));
        });
}

void Session::pass_signal(const Request& request) {
    if (!container_.signal)
        return refuse("this is no container's machine, and has no program that signals are for", &request);
    if (!request.signal)
        return refuse("\"signal\" is missing", &request);
    if (!container_.signal(static_cast<int>(*request.signal)))
        return refuse("the signal could not be passed on", &request);
    send("signalled", id_field(request));
}

void Session::resize(const Request& request) {
    if (!container_.resize)
        return refuse("this is no container's machine, and has no program's terminal", &request);
    if (request.rows == 0 || request.columns == 0)
        return refuse("\"rows\" or \"columns\" is missing", &request);
    if (!container_.resize(static_cast<int>(request.rows), static_cast<int>(request.columns)))
        return refuse("the program's terminal takes no size", &request);
    send("resized", id_field(request));
}

void Session::send_facts(const Request& request) {
    if (!systemd_runs()) {
        // OpenRC keeps a link for each service that it has started.
        send("facts", id_field(request) + ",\"units\":" + json_list(list_folder("/run/openrc/started")) +
                          ",\"units_failed\":" + json_list(list_folder("/run/openrc/failed")) +
                          ",\"listening\":" + json_list(listening_ports()) +
                          ",\"modules\":" + json_list(module_names(read_text("/proc/modules").value_or(""))) +
                          ",\"boot\":{\"kernel\":0}");
        return;
    }
    commands_.start({"systemctl", "list-units", "--state=active", "--plain", "--no-legend", "--no-pager", "--full"},
                    kListLimit, [this, request](const CommandResult& active) { gather_facts(request, active.output); });
}

void Session::gather_facts(const Request& request, std::string active) {
    commands_.start({"systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full"},
                    kListLimit, [this, request, active = std::move(active)](const CommandResult& failed) {
                        commands_.start(
                            {"systemctl", "show", "--property=InitRDTimestampMonotonic",
                             "--property=UserspaceTimestampMonotonic", "--property=FinishTimestampMonotonic"},
                            kListLimit, [this, request, active, failed](const CommandResult& times) {
                                send("facts", id_field(request) + ",\"units\":" + json_list(unit_names(active)) +
                                                  ",\"units_failed\":" + json_list(unit_names(failed.output)) +
                                                  ",\"listening\":" + json_list(listening_ports()) + ",\"modules\":" +
                                                  json_list(module_names(read_text("/proc/modules").value_or(""))) +
                                                  ",\"boot\":" + boot_json(times.output));
                            });
                    });
}

void Session::poll() {
    commands_.poll();
    if (!up_ && !watching_ && Clock::now() >= next_look_)
        watch_system();
}

void Session::watch_system() {
    next_look_ = Clock::now() + kLookInterval;
    if (!systemd_runs())
        return watch_other_init();
    watching_ = true;
    std::vector<std::string> command = {"systemctl", "is-system-running"};
    if (waits_at_once_)
        command.emplace_back("--wait");
    commands_.start(command, kStateLimit, [this](const CommandResult& result) { take_state(result); });
}

void Session::take_state(const CommandResult& result) {
    watching_ = false;
    next_look_ = Clock::now() + kLookInterval;
    const std::string state = first_word(result.output);
    if (state == "running" || state == "degraded")
        system_is_up(state);
    else if (state.empty())
        waits_at_once_ = false; // systemd before 240 does not know --wait
}

void Session::watch_other_init() {
    const auto level = read_text("/run/openrc/softlevel", 64);
    if (level ? trim(*level) == "default" : login_is_offered())
        system_is_up("running");
    else if (Clock::now() - started_ > kUnknownInitLimit)
        system_is_up("unknown");
}

void Session::system_is_up(std::string_view state) {
    up_ = true;
    state_ = state;
    if (state != "degraded")
        return send_ready();
    commands_.start({"systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager", "--full"},
                    kListLimit, [this](const CommandResult& failed) {
                        ready_ = json_list(unit_names(failed.output));
                        send_ready();
                    });
}

void Session::send_ready() {
    const std::string failed = ready_.empty() ? "[]" : ready_;
    const std::size_t before = output_.size();
    send("ready", ",\"uptime_ms\":" + std::to_string(uptime_milliseconds()) + ",\"state\":" + json_quote(state_) +
                      ",\"os\":" + os_json_of() + ",\"addresses\":" + json_list(addresses()) +
                      ",\"units_failed\":" + failed);
    ready_ = output_.substr(before);
}

} // namespace vm2oci::guest
