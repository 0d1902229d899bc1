#include "runner/qemu/monitor.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::uint64_t number_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string version_of(const json& greeting) {
    const json version = greeting.value("version", json::object());
    if (!version.is_object() || !version.contains("qemu") || !version["qemu"].is_object())
        return "";
    const json& numbers = version["qemu"];
    return fmt::format("{}.{}.{}", number_of(numbers, "major"), number_of(numbers, "minor"),
                       number_of(numbers, "micro"));
}

MonitorMessage event_of(const json& object) {
    MonitorMessage message;
    message.kind = MonitorMessageKind::event;
    message.text = text_of(object, "event");
    const auto data = object.find("data");
    if (data == object.end() || !data->is_object())
        return message;
    message.guest_reason = text_of(*data, "reason");
    message.port = text_of(*data, "id");
    const auto open = data->find("open");
    message.port_open = open != data->end() && open->is_boolean() && open->get<bool>();
    return message;
}

std::optional<MonitorMessage> message_of(std::string_view line) {
    const json object = json::parse(line, nullptr, false);
    if (!object.is_object())
        fail(ErrorKind::external, "QEMU's monitor sent something that is no message: " + quote_untrusted(line, 80));
    if (object.contains("event"))
        return event_of(object);
    MonitorMessage message;
    message.id = number_of(object, "id");
    if (const auto greeting = object.find("QMP"); greeting != object.end() && greeting->is_object()) {
        message.kind = MonitorMessageKind::greeting;
        message.text = version_of(*greeting);
        return message;
    }
    if (const auto error = object.find("error"); error != object.end() && error->is_object()) {
        message.kind = MonitorMessageKind::error;
        message.text = text_of(*error, "desc");
        return message;
    }
    if (!object.contains("return"))
        return std::nullopt;
    message.kind = MonitorMessageKind::result;
    message.text = text_of(object, "return");
    return message;
}

} // namespace

std::vector<MonitorMessage> MonitorParser::feed(std::string_view bytes) {
    std::vector<MonitorMessage> messages;
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        line_ += bytes.substr(0, end);
        if (line_.size() > kMonitorLineLimit)
            fail(ErrorKind::external, "QEMU's monitor sent a message that is too long");
        if (end == std::string_view::npos)
            break;
        bytes.remove_prefix(end + 1);
        if (line_.find_first_not_of(" \r\t") != std::string::npos)
            if (auto message = message_of(line_))
                messages.push_back(std::move(*message));
        line_.clear();
    }
    return messages;
}

std::string monitor_command(std::string_view name, std::uint64_t id, std::string_view arguments) {
    if (arguments.empty())
        return fmt::format("{{\"execute\":\"{}\",\"id\":{}}}\n", name, id);
    return fmt::format("{{\"execute\":\"{}\",\"id\":{},\"arguments\":{}}}\n", name, id, arguments);
}

} // namespace vm2oci
