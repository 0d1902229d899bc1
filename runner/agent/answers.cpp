#include "runner/agent/answers.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>

namespace vm2oci {

using nlohmann::json;

std::string text_member(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> text_list_member(const json& object, const char* key, std::size_t limit,
                                          std::size_t text_limit) {
    std::vector<std::string> texts;
    const auto list = object.find(key);
    if (list == object.end() || !list->is_array())
        return texts;
    for (const json& item : *list) {
        if (texts.size() == limit)
            break;
        if (item.is_string())
            texts.push_back(item.get_ref<const std::string&>().substr(0, text_limit));
    }
    return texts;
}

std::string decode_base64(std::string_view text, std::size_t limit) {
    std::string result;
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        std::uint32_t value = 0;
        if (c >= 'A' && c <= 'Z')
            value = static_cast<std::uint32_t>(c - 'A');
        else if (c >= 'a' && c <= 'z')
            value = static_cast<std::uint32_t>(c - 'a') + 26;
        else if (c >= '0' && c <= '9')
            value = static_cast<std::uint32_t>(c - '0') + 52;
        else if (c == '+')
            value = 62;
        else if (c == '/')
            value = 63;
        else
            continue;
        bits = bits << 6 | value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            if (result.size() == limit)
                return result;
            result += static_cast<char>(bits >> count & 0xff);
        }
    }
    return result;
}

} // namespace vm2oci
