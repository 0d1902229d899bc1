#include "runner/agent/own_session.hpp"

#include "runner/agent/answers.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace vm2oci {
namespace {

using nlohmann::json;

// The agent gives a command up by itself; this much later its silence is taken for an answer.
constexpr OwnAgentSession::Milliseconds kGrace{5000};

std::uint64_t number_member(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

bool flag_member(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::vector<std::string> list_member(const json& object, const char* key) {
    return text_list_member(object, key, kOwnAgentListLimit, kOwnAgentTextLimit);
}

OwnAgentReady ready_of(const json& message) {
    // A day is more than any boot takes, and keeps the number from being nonsense.
    constexpr std::uint64_t longest = 24ull * 3600 * 1000;
    OwnAgentReady ready;
    ready.uptime = std::chrono::milliseconds(std::min(number_member(message, "uptime_ms"), longest));
    ready.state = text_member(message, "state").substr(0, kOwnAgentTextLimit);
    if (const auto os = message.find("os"); os != message.end() && os->is_object())
        ready.os_name = text_member(*os, "pretty_name").substr(0, kOwnAgentTextLimit);
    ready.addresses = list_member(message, "addresses");
    ready.units_failed = list_member(message, "units_failed");
    return ready;
}

ExecResult result_of(const json& message, const std::string& command) {
    ExecResult result{command, std::nullopt, "", ""};
    const auto code = message.find("exit");
    if (flag_member(message, "timed_out"))
        result.problem = "it did not end in time";
    else if (code != message.end() && code->is_number_integer() && *code >= 0 && *code <= 255)
        result.exit_code = code->get<int>();
    else
        result.problem = "the agent gave no exit code";
    result.output = bytes_of_base64(text_member(message, "stdout"), kAgentOutputLimit);
    result.output += bytes_of_base64(text_member(message, "stderr"), kAgentOutputLimit - result.output.size());
    return result;
}

} // namespace

void OwnAgentSession::port_closed() {
    line_.clear();
    output_.clear();
    skipping_ = false;
    if (current_)
        finish_command({current_->text, std::nullopt, "", "the agent closed its channel"});
}

void OwnAgentSession::feed(std::string_view bytes, Milliseconds now) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        if (!skipping_)
            line_ += bytes.substr(0, end);
        if (line_.size() > kOwnAgentLineLimit) {
            skipping_ = true;
            line_.clear();
        }
        if (end == std::string_view::npos)
            return;
        bytes.remove_prefix(end + 1);
        const std::string line = std::exchange(line_, {});
        if (!std::exchange(skipping_, false) && !line.empty())
            take_line(line, now);
    }
}

void OwnAgentSession::take_line(std::string_view line, Milliseconds now) {
    const json message = json::parse(line, nullptr, false);
    if (!message.is_object())
        return;
    const std::string type = text_member(message, "type");
    const bool is_current =
        current_ && current_->id != 0 && number_member(message, "id") == static_cast<std::uint64_t>(current_->id);
    if (type == "hello") {
        hello_ = OwnAgentHello{number_member(message, "version"),
                               text_member(message, "kernel").substr(0, kOwnAgentTextLimit)};
        start_next(now);
        pass_on();
    } else if (type == "ready" && !ready_) {
        ready_ = ready_of(message);
    } else if (type == "exec-result" && is_current) {
        finish_command(result_of(message, current_->text));
        start_next(now);
    } else if (type == "error" && is_current) {
        finish_command({current_->text, std::nullopt, "",
                        "the agent refused it: " + text_member(message, "message").substr(0, kOwnAgentTextLimit)});
        start_next(now);
    } else if (type == "facts" && facts_done_) {
        const auto done = std::exchange(facts_done_, {});
        done({list_member(message, "units"), list_member(message, "units_failed"), list_member(message, "listening"),
              list_member(message, "modules")});
    }
}

void OwnAgentSession::execute(std::string command, Milliseconds limit, std::function<void(ExecResult)> done) {
    commands_.push_back({std::move(command), limit, std::move(done), Milliseconds{0}, 0});
}

void OwnAgentSession::pass_signal(int signal) {
    signals_.push_back(signal);
    pass_on();
}

void OwnAgentSession::resize(unsigned rows, unsigned columns) {
    size_ = {rows, columns};
    pass_on();
}

void OwnAgentSession::pass_on() {
    if (!hello_)
        return;
    if (const auto size = std::exchange(size_, std::nullopt))
        output_ += fmt::format("{{\"type\":\"resize\",\"id\":{},\"rows\":{},\"columns\":{}}}\n", next_id_++,
                               size->first, size->second);
    for (const int signal : signals_)
        output_ += fmt::format("{{\"type\":\"signal\",\"id\":{},\"signal\":{}}}\n", next_id_++, signal);
    signals_.clear();
}

void OwnAgentSession::ask_facts(std::function<void(const OwnAgentFacts&)> done) {
    facts_done_ = std::move(done);
    output_ += fmt::format("{{\"type\":\"facts\",\"id\":{}}}\n", next_id_++);
}

void OwnAgentSession::start_next(Milliseconds now) {
    if (current_ || commands_.empty() || !hello_)
        return;
    current_ = std::move(commands_.front());
    commands_.pop_front();
    current_->started = now;
    current_->id = next_id_++;
    const auto seconds = std::max<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(current_->limit).count(), 1);
    const json request = {
        {"type", "exec"}, {"id", current_->id}, {"argv", {"/bin/sh", "-c", current_->text}}, {"timeout_s", seconds}};
    output_ += request.dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
}

void OwnAgentSession::finish_command(ExecResult result) {
    const std::optional<Command> ended = std::exchange(current_, std::nullopt);
    if (ended && ended->done)
        ended->done(std::move(result));
}

void OwnAgentSession::tick(Milliseconds now) {
    if (current_ && now - current_->started >= current_->limit + kGrace)
        finish_command({current_->text, std::nullopt, "",
                        fmt::format("it did not end within {} s", current_->limit.count() / 1000)});
    start_next(now);
}

} // namespace vm2oci
