#include "tools/vm2oci/option_values.hpp"

#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

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

} // namespace vm2oci::cli
