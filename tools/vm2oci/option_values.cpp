#include "tools/vm2oci/option_values.hpp"

#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <string>

namespace vm2oci::cli {
namespace {

template <class Parse>
CLI::Validator parsed_by(Parse parse) {
    const auto check = [parse](std::string& text) -> std::string {
        try {
            parse(text);
            return {};
        } catch (const Error& error) {
            return error.what();
        }
    };
    return CLI::Validator(check, "");
}

} // namespace

CLI::Validator size_value() {
    return parsed_by([](const std::string& text) { parse_size(text); });
}

CLI::Validator duration_value() {
    return parsed_by([](const std::string& text) { parse_duration(text); });
}

std::map<std::string, std::string> parse_pairs(const std::vector<std::string>& texts, std::string_view option) {
    std::map<std::string, std::string> pairs;
    for (const std::string& text : texts) {
        const std::size_t equals = text.find('=');
        if (equals == 0 || equals == std::string::npos)
            fail(ErrorKind::usage, fmt::format("{} takes KEY=VALUE, not '{}'", option, text));
        pairs[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return pairs;
}

} // namespace vm2oci::cli
