#include "runner/program_console.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace vm2oci;

namespace {

struct Heard {
    std::string text;
    std::optional<int> code;
};

Heard hear(const std::string& console, std::size_t step) {
    ProgramConsole filter;
    Heard heard;
    for (std::size_t at = 0; at < console.size(); at += step)
        heard.text += filter.feed(std::string_view(console).substr(at, step));
    heard.text += filter.finish();
    heard.code = filter.exit_code();
    return heard;
}

const std::string kStart = "[    1.0] Linux\r\nvm2oci-init: starting \"sh\"\r\n";
const std::string kEnd = "vm2oci-init: the program ended with exit code ";

} // namespace

TEST_CASE("what a program printed is taken out of its console, in pieces of any size") {
    for (const std::size_t step : {1U, 2U, 3U, 7U, 1000U}) {
        const Heard plain = hear(kStart + "a\tb\nc\n" + kEnd + "42\n[ 9.9] reboot: Power down\n", step);
        CHECK(plain.text == "a\tb\nc");
        CHECK(plain.code == 42);
        const Heard terminal = hear(kStart + "line\r\n\r\n" + kEnd + "0\r\n", step);
        CHECK(terminal.text == "line\r\n");
        CHECK(terminal.code == 0);
        const Heard silent = hear(kStart + "\n" + kEnd + "137\n", step);
        CHECK(silent.text.empty());
        CHECK(silent.code == 137);
    }
}

TEST_CASE("a firmware's escapes may stand before the start") {
    ProgramConsole filter;
    CHECK(filter.feed("\x1b"
                      "c\x1b[2Jvm2oci-init: starting \"sh\"\r\nhello\r") == "hello");
    CHECK(filter.feed("\n\r\n" + kEnd + "3\r\n") == "\r\n");
    CHECK(filter.exit_code() == 3);
}

TEST_CASE("what only looks like the end is the program's") {
    for (const std::size_t step : {1U, 5U, 1000U}) {
        const std::string words = "\n" + kEnd + "soon\n\r\n\nvm2oci-init: other\n" + kEnd + "7";
        const Heard heard = hear(kStart + words, step);
        CHECK(heard.text == words);
        CHECK_FALSE(heard.code);
    }
    const std::string long_line = "\n" + kEnd + std::string(5000, '1');
    CHECK(hear(kStart + long_line, 100).text == long_line);
}

TEST_CASE("a program's bytes do not wait for more than an end could be") {
    ProgramConsole filter;
    filter.feed(kStart);
    CHECK(filter.has_started());
    CHECK(filter.feed("prompt> ") == "prompt> ");
    CHECK(filter.feed("x\n").substr(0, 1) == "x");
    CHECK(filter.feed("y") == "\ny");
}

TEST_CASE("what was said before the program is kept for who asks") {
    ProgramConsole filter;
    CHECK(filter.feed("[ 1.0] Linux\nvm2oci-init: this machine cannot be started: no root\n").empty());
    CHECK(filter.finish().empty());
    CHECK_FALSE(filter.has_started());
    CHECK(filter.before().find("cannot be started") != std::string::npos);
    ProgramConsole noisy;
    for (int i = 0; i < 10000; ++i)
        noisy.feed("a line of a boot that says too much\n");
    noisy.feed(std::string(200000, 'x'));
    CHECK(noisy.before().size() <= 65536);
}
