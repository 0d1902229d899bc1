#include "runner/judge/console_lines.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace vm2oci;

namespace {

std::vector<std::string> lines_of(std::string_view bytes, std::size_t chunk = 1) {
    std::vector<std::string> result;
    ConsoleLines lines;
    for (std::size_t at = 0; at < bytes.size(); at += chunk)
        lines.feed(bytes.substr(at, chunk), [&](const ConsoleLine& line) { result.push_back(line.text); });
    if (!lines.current().text.empty())
        result.push_back("..." + lines.current().text);
    return result;
}

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("colours and titles vanish, text stays") {
    CHECK(lines_of("[\x1b[0;32m  OK  \x1b[0m] Started.\r\n") == Lines{"[  OK  ] Started."});
    CHECK(lines_of("\x1b]0;title\aa\n\x1b]0;t\x1b\\b\n") == Lines{"a", "b"});
    CHECK(lines_of("\x1b(Bplain\x1b=text\n") == Lines{"plaintext"});
}

TEST_CASE("a carriage return begins the line again, a cursor move begins another") {
    CHECK(lines_of("job (1s)\rjob (2s)\r\ndone\n") == Lines{"job (1s)", "job (2s)", "done"});
    CHECK(lines_of("one\x1b[2;1Htwo\n") == Lines{"one", "two"});
    CHECK(lines_of("passwor\bd: ") == Lines{"...passwod: "});
}

TEST_CASE("the way the bytes are cut does not matter") {
    const std::string text = "a\x1b[1;31mb\x1b[0m\r\nc\rd\x1b[5;1He\n\x1b]0;x\ay";
    const Lines whole = lines_of(text, text.size());
    for (std::size_t chunk = 1; chunk < text.size(); ++chunk)
        CHECK(lines_of(text, chunk) == whole);
}

TEST_CASE("a line without end costs no more than the limit") {
    ConsoleLines lines;
    lines.feed(std::string(100000, 'x'), [](const ConsoleLine&) { FAIL("no line has ended"); });
    CHECK(lines.current().text.size() == kConsoleLineLimit);
}

TEST_CASE("lines are numbered as an editor would") {
    ConsoleLines lines;
    std::vector<std::uint64_t> numbers;
    lines.feed("one\n\nthree\n", [&](const ConsoleLine& line) { numbers.push_back(line.number); });
    CHECK(numbers == std::vector<std::uint64_t>{1, 3});
}

TEST_CASE("the kernel's time stamp is found and taken off") {
    CHECK(without_kernel_prefix("[    1.234567] text") == "text");
    CHECK(without_kernel_prefix("[12345.234567][    T1] text") == "text");
    CHECK(without_kernel_prefix("[  OK  ] text") == "[  OK  ] text");
    CHECK(without_kernel_prefix("[ TIME ] text") == "[ TIME ] text");
    CHECK(without_kernel_prefix("[1.23] text") == "[1.23] text");
    CHECK(has_kernel_prefix("[    0.000000] Linux version"));
    CHECK_FALSE(has_kernel_prefix(""));
}
