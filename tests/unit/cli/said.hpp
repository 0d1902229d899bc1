// What a command line says, and what it is refused for.
#pragma once

#include "formats/base/error.hpp"
#include "formats/base/progress.hpp"
#include "tools/vm2oci/application.hpp"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace vm2oci::test {

using Words = std::vector<std::string>;

struct Said {
    int code = 0;
    std::string out;
    std::string err;
};

inline Said say(const Words& arguments) {
    std::ostringstream out;
    std::ostringstream err;
    const Cancellation never;
    const int code = cli::run(arguments, out, err, never);
    return {code, out.str(), err.str()};
}

inline Words joined(Words first, const Words& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

// The message of the error that `action` ends with, after its kind was checked; "" if there was none.
template <class Action>
std::string refusal_of(Action&& action, ErrorKind kind = ErrorKind::usage) {
    try {
        action();
    } catch (const Error& error) {
        CHECK(to_string(error.kind()) == to_string(kind));
        return error.what();
    }
    return "";
}

// The options that `add` adds to a command, with these words read into them.
template <class Add>
auto options_with(Add&& add, const Words& words) {
    CLI::App app;
    auto options = add(app);
    app.parse(Words(words.rbegin(), words.rend()));
    return options;
}

inline std::string write_text(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
}

inline std::string read_text(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace vm2oci::test
