#include "runner/agent/answers.hpp"

#include "formats/base/base64.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

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

std::string bytes_of_base64(std::string_view text, std::size_t limit) {
    std::string bytes = decode_base64_lenient(text).value_or("");
    bytes.resize(std::min(bytes.size(), limit));
    return bytes;
}

} // namespace vm2oci
