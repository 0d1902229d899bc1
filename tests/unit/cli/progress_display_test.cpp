#include "tools/vm2oci/progress_display.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <sstream>

using namespace vm2oci;
using namespace vm2oci::cli;

TEST_CASE("a log gets one plain line for each phase, without control characters") {
    std::ostringstream err;
    {
        ProgressDisplay display(err, ProgressMode::automatic, Verbosity::normal);
        display.begin("convert", 100);
        display.advance(100);
        display.note("a note");
        display.end();
    }
    const std::string text = err.str();
    CHECK(text.find("a note\nconvert 100 B in ") != std::string::npos);
    CHECK(text.find('\r') == std::string::npos);
    CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("JSON progress is one document a line") {
    std::ostringstream err;
    ProgressDisplay display(err, ProgressMode::json, Verbosity::normal);
    display.begin("convert", 100);
    display.advance(42);
    display.end();
    display.note("x");
    std::istringstream lines(err.str());
    std::vector<nlohmann::json> events;
    for (std::string line; std::getline(lines, line);)
        events.push_back(nlohmann::json::parse(line));
    REQUIRE(events.size() == 2);
    CHECK(events[0]["bytes"] == 42);
    CHECK(events[0]["total_bytes"] == 100);
    CHECK(events[1]["note"] == "x");
}

TEST_CASE("a bar cleans up behind itself") {
    std::ostringstream err;
    {
        ProgressDisplay display(err, ProgressMode::bar, Verbosity::normal);
        display.begin("convert", 100);
        display.advance(10);
    }
    CHECK((err.str().empty() || err.str().ends_with("\r\x1b[K")));
}

TEST_CASE("quiet and none say nothing") {
    std::ostringstream err;
    ProgressDisplay quiet(err, ProgressMode::plain, Verbosity::quiet);
    ProgressDisplay none(err, ProgressMode::none, Verbosity::normal);
    for (ProgressDisplay* display : {&quiet, &none}) {
        display->begin("convert", 1);
        display->advance(1);
        display->note("x");
        display->end();
    }
    CHECK(err.str().empty());
}
