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

TEST_CASE("a name that is no UTF-8 is no reason to end: it may be a path of the user's") {
    std::ostringstream err;
    {
        ProgressDisplay display(err, ProgressMode::json, Verbosity::normal);
        display.note("reading J\xfcrgen.qcow2");
        display.begin("look at \xff", 0);
        display.end();
    }
    std::istringstream lines(err.str());
    std::string line;
    REQUIRE(std::getline(lines, line));
    CHECK(nlohmann::json::parse(line)["note"] == "reading J\xef\xbf\xbdrgen.qcow2");
    REQUIRE(std::getline(lines, line));
    const nlohmann::json event = nlohmann::json::parse(line);
    CHECK(event["phase"] == "look at \xef\xbf\xbd");
    CHECK(event["bytes"] == 0);
    CHECK_FALSE(event.contains("total_bytes")); // how much there is nobody said
}

TEST_CASE("what the display is follows from what is asked for and where it goes") {
    std::ostringstream err;
    using enum ProgressMode;
    for (const ProgressMode mode : {automatic, bar, plain, json, none}) {
        CHECK(resolve_mode(mode, Verbosity::quiet, err) == none);
        CHECK(resolve_mode(mode, Verbosity::normal, err) == (mode == automatic ? plain : mode));
        CHECK(resolve_mode(mode, Verbosity::verbose, err) == (mode == automatic ? plain : mode));
    }
    CHECK(terminal_columns() > 0);
    CHECK(terminal_rows() > 0);
}

TEST_CASE("a phase that counts nothing is told without a size") {
    std::ostringstream err;
    ProgressDisplay display(err, ProgressMode::plain, Verbosity::normal);
    display.begin("look", 0);
    display.end();
    display.begin("read", 1 << 20);
    display.end();
    std::istringstream lines(err.str());
    std::string line;
    REQUIRE(std::getline(lines, line));
    CHECK(line.starts_with("look in 0."));
    CHECK(line.ends_with(" s"));
    REQUIRE(std::getline(lines, line));
    CHECK(line.starts_with("read 0 B in 0."));
    CHECK(line.find("/s") == std::string::npos); // no rate of nothing
}
