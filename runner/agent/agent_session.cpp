#include "runner/agent/agent_session.hpp"

#include "runner/agent/answers.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace vm2oci {
namespace {

using nlohmann::json;

constexpr AgentSession::Milliseconds kPollInterval{500}; // of a program that runs in the guest

bool executes(const json& info) {
    const auto commands = info.find("supported_commands");
    if (commands == info.end() || !commands->is_array())
        return false;
    return std::any_of(commands->begin(), commands->end(), [](const json& command) {
        return command.is_object() && text_member(command, "name") == "guest-exec" && command.contains("enabled") &&
               command["enabled"].is_boolean() && command["enabled"].get<bool>();
    });
}

} // namespace

void AgentSession::send(std::string_view method, const std::string& arguments) {
    output_ += fmt::format("{{\"execute\":\"{}\"", method);
    if (!arguments.empty())
        output_ += ",\"arguments\":" + arguments;
    output_ += "}\n";
}

void AgentSession::port_opened() {
    phase_ = Phase::synchronising;
    line_.clear();
    // 0xff makes the agent drop a half line that an earlier reader left behind.
    output_ = "\xff";
    send("guest-sync-delimited", fmt::format("{{\"id\":{}}}", ++sync_id_));
}

void AgentSession::port_closed() {
    phase_ = Phase::closed;
    output_.clear();
    line_.clear();
    if (current_)
        finish_command({current_->text, std::nullopt, "", "the agent closed its channel"});
}

void AgentSession::feed(std::string_view bytes, Milliseconds now) {
    for (const char c : bytes) {
        if (c == '\xff') {
            line_.clear();
            continue;
        }
        if (c != '\n') {
            if (line_.size() < kAgentLineLimit)
                line_ += c;
            continue;
        }
        const std::string line = std::exchange(line_, {});
        if (!line.empty())
            take_line(line, now);
    }
}

void AgentSession::take_line(std::string_view line, Milliseconds now) {
    const json answer = json::parse(line, nullptr, false);
    if (!answer.is_object())
        return;
    const auto result = answer.find("return");
    const bool is_object = result != answer.end() && result->is_object();
    switch (phase_) {
    case Phase::closed:
        break;
    case Phase::synchronising:
        if (result != answer.end() && result->is_number_unsigned() && result->get<std::uint64_t>() == sync_id_) {
            phase_ = Phase::asking_info;
            send("guest-info");
        }
        break;
    case Phase::asking_info:
        draft_ = {};
        if (is_object) {
            draft_.version = text_member(*result, "version");
            draft_.can_execute = executes(*result);
        }
        phase_ = Phase::asking_os;
        send("guest-get-osinfo");
        break;
    case Phase::asking_os:
        if (is_object) {
            draft_.os_name = text_member(*result, "pretty-name");
            draft_.kernel = text_member(*result, "kernel-release");
        }
        phase_ = Phase::ready;
        info_ = draft_;
        start_next(now);
        break;
    case Phase::ready:
        take_exec_answer(line, now);
        break;
    }
}

void AgentSession::execute(std::string command, Milliseconds limit, std::function<void(ExecResult)> done) {
    commands_.push_back({std::move(command), limit, std::move(done), Milliseconds{0}, std::nullopt, false});
}

void AgentSession::start_next(Milliseconds now) {
    if (current_ || commands_.empty() || phase_ != Phase::ready)
        return;
    current_ = std::move(commands_.front());
    commands_.pop_front();
    current_->started = now;
    current_->answer_pending = true;
    const json arguments = {{"path", "/bin/sh"}, {"arg", {"-c", current_->text}}, {"capture-output", true}};
    send("guest-exec", arguments.dump(-1, ' ', true, json::error_handler_t::replace));
}

void AgentSession::take_exec_answer(std::string_view line, Milliseconds now) {
    if (!current_ || !current_->answer_pending)
        return;
    current_->answer_pending = false;
    if (!current_->done) { // it was given up, and this would be taken for the next one's
        current_.reset();
        start_next(now);
        return;
    }
    const json answer = json::parse(line, nullptr, false);
    const auto error = answer.find("error");
    const auto result = answer.find("return");
    if (error != answer.end() || result == answer.end() || !result->is_object()) {
        const std::string why = error != answer.end() && error->is_object() ? text_member(*error, "desc") : "";
        finish_command({current_->text, std::nullopt, "", why.empty() ? "the agent refused it" : why});
        return;
    }
    if (!current_->pid) {
        const auto pid = result->find("pid");
        if (pid == result->end() || !pid->is_number_unsigned()) {
            finish_command({current_->text, std::nullopt, "", "the agent did not start it"});
            return;
        }
        current_->pid = pid->get<std::uint64_t>();
        next_poll_ = now + kPollInterval / 5;
        return;
    }
    const auto exited = result->find("exited");
    if (exited == result->end() || !exited->is_boolean() || !exited->get<bool>()) {
        next_poll_ = now + kPollInterval;
        return;
    }
    ExecResult done{current_->text, std::nullopt, "", ""};
    const auto code = result->find("exitcode");
    if (code != result->end() && code->is_number_integer())
        done.exit_code = code->get<int>();
    else
        done.problem = "it was killed by a signal";
    done.output = bytes_of_base64(text_member(*result, "out-data"), kAgentOutputLimit) +
                  bytes_of_base64(text_member(*result, "err-data"), kAgentOutputLimit);
    done.output.resize(std::min(done.output.size(), kAgentOutputLimit));
    finish_command(std::move(done));
}

void AgentSession::finish_command(ExecResult result) {
    const auto done = std::move(current_->done);
    current_.reset();
    if (done)
        done(std::move(result));
}

void AgentSession::tick(Milliseconds now) {
    if (phase_ != Phase::ready)
        return;
    if (current_ && now - current_->started >= current_->limit) {
        ExecResult given_up{current_->text, std::nullopt, "",
                            fmt::format("it did not end within {} s", current_->limit.count() / 1000)};
        if (current_->answer_pending && !commands_.empty() && current_->done) {
            // The agent still owes an answer, and keeps their order: the next command waits for it, as long once more.
            current_->started = now;
            std::exchange(current_->done, nullptr)(std::move(given_up));
        } else {
            finish_command(std::move(given_up));
        }
    }
    if (!current_) {
        start_next(now);
        return;
    }
    if (current_->pid && !current_->answer_pending && now >= next_poll_) {
        current_->answer_pending = true;
        send("guest-exec-status", fmt::format("{{\"pid\":{}}}", *current_->pid));
    }
}

} // namespace vm2oci
