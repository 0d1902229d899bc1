// What the judge calls things.
#include "runner/judge/judge.hpp"

namespace vm2oci {
namespace {

std::string_view missing_text(ReadySignal signal) {
    switch (signal) {
    case ReadySignal::login:
        return "a login prompt";
    case ReadySignal::agent:
        return "an answer of the guest agent";
    case ReadySignal::cloud_init:
        return "the end of cloud-init";
    case ReadySignal::system:
        return "the default target";
    case ReadySignal::port:
        return "the forwarded ports";
    case ReadySignal::pattern:
        return "a line that matches";
    }
    return "";
}

} // namespace

std::string_view to_string(ReadySignal signal) {
    switch (signal) {
    case ReadySignal::login:
        return "login";
    case ReadySignal::agent:
        return "agent";
    case ReadySignal::cloud_init:
        return "cloud-init";
    case ReadySignal::system:
        return "systemd";
    case ReadySignal::pattern:
        return "pattern";
    case ReadySignal::port:
        return "port";
    }
    return "login";
}

std::string_view to_string(Outcome outcome) {
    switch (outcome) {
    case Outcome::ready:
        return "ready";
    case Outcome::failed:
        return "failed";
    case Outcome::timed_out:
        return "timed_out";
    case Outcome::stopped:
        return "stopped";
    }
    return "failed";
}

std::vector<std::string> Judge::missing() const {
    std::vector<std::string> result;
    const bool up = has_reached(Milestone::login) || system_running_;
    if (policy_.ready.empty() && policy_.by_default == DefaultReady::agent && !agent_at_)
        result.emplace_back("an answer of the guest agent, which the image has and starts");
    else if (policy_.ready.empty() && policy_.by_default == DefaultReady::program && !has_reached(Milestone::init))
        result.emplace_back("the start of the container's program");
    else if (policy_.ready.empty() && policy_.by_default == DefaultReady::healthy && !has_reached(Milestone::system))
        result.emplace_back("a health check of the container's program that passes");
    else if (policy_.ready.empty() && !up &&
             (policy_.by_default == DefaultReady::login || policy_.by_default == DefaultReady::agent))
        result.emplace_back("a login prompt or a guest agent that says that the system is up");
    for (std::size_t i = 0; i < policy_.expected.size(); ++i)
        if (!expected_seen_[i])
            result.push_back("a line that matches '" + policy_.expected[i].text() + "'");
    for (std::size_t i = 0; i < policy_.ready.size(); ++i) {
        if (is_met(i))
            continue;
        const ReadyCondition& condition = policy_.ready[i];
        std::string text(missing_text(condition.signal));
        if (condition.pattern)
            text += " '" + condition.pattern->text() + "'";
        result.push_back(std::move(text));
    }
    return result;
}

} // namespace vm2oci
