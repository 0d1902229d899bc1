// What a batch says: documents that are read back, one summary of many shares, JUnit and the page.
#include "formats/base/error.hpp"
#include "tools/batch/document.hpp"
#include "tools/batch/junit.hpp"
#include "tools/batch/page.hpp"
#include "tools/vm2oci/batch_display.hpp"
#include "tools/vm2oci/batch_process.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <sstream>

using namespace vm2oci;
using namespace vm2oci::cli;

namespace {

ItemResult made(std::size_t number, const std::string& name, ItemState state) {
    ItemResult item;
    item.number = number;
    item.name = name;
    item.source = name + ".qcow2";
    item.destination = "oci:images:" + name;
    item.state = state;
    if (is_good(state)) {
        item.digest = "sha256:" + std::string(64, 'a');
        item.virtual_size = 4ull << 30;
        item.allocated_size = 1ull << 30;
        item.stored_size = 300ull << 20;
        item.seconds = 12.5;
        item.processor_seconds = 20;
        item.booted = "ready";
    } else {
        item.exit_code = state == ItemState::rejected ? 4 : 3;
        item.message = "<b>\"no\" & 'never'</b>\x01";
    }
    return item;
}

BatchResult sample() {
    BatchResult result;
    result.list = "machines.txt";
    result.share = {1, 3};
    result.list_size = 14;
    result.seconds = 61.25;
    result.items = {made(2, "web", ItemState::done), made(5, "db", ItemState::refused),
                    made(8, "erp", ItemState::rejected), made(11, "old", ItemState::unchanged),
                    made(14, "late", ItemState::left_out)};
    return result;
}

std::size_t occurrences(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
        ++count;
    return count;
}

} // namespace

TEST_CASE("a result is read back as it was written") {
    const BatchResult result = sample();
    const std::string text = batch_result_text(result);
    CHECK(batch_result_text(parse_batch_result(text)) == text);
    CHECK(nlohmann::json::parse(text)["counts"]["done"] == 1);
    const std::string item = item_result_text(result.items[0]);
    CHECK(item_result_text(parse_item_result(item)) == item);
}

TEST_CASE("what is no result is refused, whatever is wrong with it") {
    const nlohmann::json good = nlohmann::json::parse(batch_result_text(sample()));
    for (const char* text : {"", "[]", "null", "{", "{}", "\xff"})
        CHECK_THROWS_AS(parse_batch_result(text), Error);
    for (const char* name : {"list", "share", "list_size", "seconds", "machines"}) {
        CAPTURE(name);
        nlohmann::json changed = good;
        changed.erase(name);
        CHECK_THROWS_AS(parse_batch_result(changed.dump()), Error);
        changed[name] = nlohmann::json::array({nullptr});
        CHECK_THROWS_AS(parse_batch_result(changed.dump()), Error);
    }
    for (const auto& [name, value] : good["machines"][0].items()) {
        if (name == "digest" || name == "message" || name == "booted")
            continue;
        CAPTURE(name);
        nlohmann::json changed = good;
        changed["machines"][0].erase(name);
        CHECK_THROWS_AS(parse_batch_result(changed.dump()), Error);
        changed["machines"][0][name] = nlohmann::json::object();
        CHECK_THROWS_AS(parse_batch_result(changed.dump()), Error);
    }
    nlohmann::json changed = good;
    for (const int number : {0, 15}) {
        changed["machines"][0]["number"] = number;
        CHECK_THROWS_AS(parse_batch_result(changed.dump()), Error);
    }
    changed = good;
    changed["share"]["index"] = 3;
    CHECK_THROWS_AS(parse_batch_result(changed.dump()), Error);
    changed = good;
    changed["list_size"] = std::uint64_t{1} << 40U;
    CHECK_THROWS_AS(parse_batch_result(changed.dump()), Error);
    changed = good;
    changed["machines"][0]["state"] = "splendid";
    CHECK_THROWS_WITH(parse_batch_result(changed.dump()), Catch::Contains("'splendid'"));
    for (const char* name : {"digest", "message", "booted"}) {
        changed = good;
        changed["machines"][0][name] = 3;
        CHECK_THROWS_AS(parse_batch_result(changed.dump()), Error);
    }
}

TEST_CASE("shares become one summary, each machine once and by its best try") {
    BatchResult first = sample();
    BatchResult second;
    second.list = first.list;
    second.share = {0, 3};
    second.list_size = 14;
    second.seconds = 100;
    second.items = {made(1, "a", ItemState::done), made(5, "db", ItemState::done),
                    made(14, "late", ItemState::refused)};
    const BatchResult all = gather({first, second});
    REQUIRE(all.items.size() == 14);
    CHECK(all.items[0].name == "a");
    CHECK(all.items[4].name == "db");
    CHECK(all.items[4].state == ItemState::done);
    CHECK(all.items[13].state == ItemState::refused);
    CHECK(all.seconds == 100);
    CHECK(all.share.of == 1);
    second.list_size = 15;
    CHECK_THROWS_WITH(gather({first, second}), Catch::Contains("it has changed in between"));
    second.list = "others.txt";
    CHECK_THROWS_WITH(gather({first, second}), Catch::Contains("no shares of one list"));
}

TEST_CASE("machines of shares that did not end are missing, and how to make them is said") {
    BatchResult share;
    share.list = "machines.txt";
    share.list_size = 5;
    share.share = {0, 2};
    share.items = {made(1, "a", ItemState::done), made(3, "c", ItemState::done), made(5, "e", ItemState::unchanged)};
    BatchResult all = gather({share});
    REQUIRE(all.items.size() == 5);
    CHECK_FALSE(all.all_good());
    CHECK(exit_code_of(all) == 1);
    CHECK(all.items[1].name == "machine-2");
    CHECK(all.items[1].state == ItemState::failed);
    CHECK_THAT(all.items[1].message, Catch::Contains("; run the share with index 1 of 2 again"));
    CHECK_THAT(batch_page(all), Catch::Contains("3 of 5 machines are there") && Catch::Contains("machine-4"));
    CHECK(occurrences(batch_junit(all), "<error ") == 2);
    // Of shares that were cut in other ways nobody knows which one it would have been.
    BatchResult other = share;
    other.share = {1, 4};
    other.items = {made(2, "b", ItemState::done)};
    all = gather({share, other});
    CHECK(all.items[1].state == ItemState::done);
    CHECK(all.items[3].state == ItemState::failed);
    CHECK_THAT(all.items[3].message, !Catch::Contains("index"));
    other.items = {made(2, "b", ItemState::done), made(4, "d", ItemState::done)};
    CHECK(gather({share, other}).all_good());
}

TEST_CASE("results are found in logs, of several pods in one as well") {
    BatchResult first = sample();
    BatchResult second = sample();
    second.share.index = 2;
    const std::string a = batch_result_text(first);
    const std::string b = batch_result_text(second);
    CHECK(find_batch_results(a).size() == 1);
    CHECK(find_batch_results("[0/1] web running\n" + a + "[1/1] late\n").size() == 1);
    const auto both = find_batch_results("log\n" + a + "{\n  \"error\": {}\n}\nlog\n" + b);
    REQUIRE(both.size() == 2);
    CHECK(both[1].share.index == 2);
    // Ended in the middle, and begun anew in the same log.
    CHECK(find_batch_results(a.substr(0, a.size() / 2)).empty());
    CHECK(find_batch_results(a.substr(0, a.size() / 2) + "\n" + b).size() == 1);
    for (const char* text : {"", "{", "{\n", "{\n}\n", "}\n", "\n\n"})
        CHECK(find_batch_results(text).empty());
    std::string windows = a;
    for (std::size_t at = windows.find('\n'); at != std::string::npos; at = windows.find('\n', at + 2))
        windows.insert(at, "\r");
    CHECK(find_batch_results(windows).size() == 1);
}

TEST_CASE("of a conversion's document digest, sizes and the boot's verdict are kept") {
    ItemResult item;
    read_conversion(R"({"digest": "sha256:1", "layers": [{"size": 10}, {"size": 5}],
                        "root": {"virtual_size": 100}, "boot": {"verdict": {"outcome": "ready"}}})",
                    item);
    CHECK(item.digest == "sha256:1");
    CHECK(item.stored_size == 15);
    CHECK(item.virtual_size == 100);
    CHECK(item.booted == "ready");
    ItemResult failed;
    read_conversion(R"({"error": {"kind": "corrupt", "message": "x is damaged"}})", failed);
    CHECK(failed.message == "x is damaged");
    failed.message = "x is damaged; do y";
    read_conversion(R"({"error": {"message": "x is damaged"}})", failed);
    CHECK(failed.message == "x is damaged; do y");
    for (const char* text : {"", "[1]", "{\"digest\": 3, \"layer\": 7, \"disk\": [1], \"boot\": null, \"error\": 1}"}) {
        ItemResult untouched;
        read_conversion(text, untouched);
        CHECK(untouched.digest.empty());
        CHECK(untouched.stored_size == 0);
    }
}

TEST_CASE("JUnit tells apart what did not boot, what could not be made, and what was not begun") {
    const std::string xml = batch_junit(sample());
    CHECK_THAT(xml,
               Catch::Contains("<testsuite name=\"machines.txt\" tests=\"5\" failures=\"1\" errors=\"1\" skipped=\"1\" "
                               "time=\"61.250\">"));
    CHECK(occurrences(xml, "<testcase ") == 5);
    CHECK(occurrences(xml, "</testcase>") == 5);
    CHECK(occurrences(xml, "<failure ") == 1);
    CHECK(occurrences(xml, "<error ") == 1);
    CHECK(occurrences(xml, "<skipped/>") == 1);
    CHECK(xml.find("<b>") == std::string::npos);
    CHECK(xml.find('\x01') == std::string::npos);
}

TEST_CASE("the page says why each machine that is not there is not, and lets no text of theirs be markup") {
    const std::string page = batch_page(sample());
    CHECK_THAT(page, Catch::Contains("2 of 5 machines are there"));
    CHECK_THAT(page, Catch::Contains("share 2 of 3"));
    CHECK_THAT(page, Catch::Contains("it was not begun, as another one failed before") || Catch::Contains("left-out"));
    CHECK_THAT(page, Catch::Contains("&lt;b&gt;"));
    CHECK(page.find("<b>\"no\"") == std::string::npos);
    CHECK(page.find("<script") == std::string::npos);
    CHECK(page.find("http") == std::string::npos);
    for (const char* tag : {"section", "table", "tr", "td", "div", "span", "ul", "li"}) {
        CAPTURE(tag);
        CHECK(occurrences(page, std::string("<") + tag + ">") + occurrences(page, std::string("<") + tag + " ") ==
              occurrences(page, std::string("</") + tag + ">"));
    }
    BatchResult good = sample();
    good.items = {good.items[0]};
    good.share = {};
    CHECK_THAT(batch_page(good), Catch::Contains("All 1 machines are there") && !Catch::Contains("What went wrong"));
    CHECK_NOTHROW(batch_page(BatchResult()));
}

TEST_CASE("a conversion's lines are progress, its last word, or nothing") {
    ItemProgress progress;
    std::string last;
    read_progress_line(R"({"phase":"package","bytes":5,"total_bytes":10})", progress, last);
    CHECK(progress.phase == "package");
    CHECK(progress.total_bytes == 10);
    for (const char* line : {"", "text", "{", "[]", R"({"note":"x"})", R"({"phase":3})", "\xff\xfe"})
        read_progress_line(line, progress, last);
    CHECK(progress.bytes == 5);
    CHECK(last.empty());
    read_progress_line("vm2oci: x: it is damaged; do y", progress, last);
    CHECK(last == "x: it is damaged; do y");
}

TEST_CASE("a log has a line for each change, and a program JSON") {
    std::ostringstream text;
    BatchDisplay plain(text, ProgressMode::plain, Verbosity::normal, 2);
    ItemResult item = made(1, "web", ItemState::done);
    item.state = ItemState::running;
    plain.changed(item);
    item.state = ItemState::done;
    plain.changed(item);
    CHECK_THAT(text.str(), Catch::Contains("[0/2] web") && Catch::Contains("[1/2] web") &&
                               Catch::Contains("1 GiB → 300 MiB") && Catch::Contains("ready"));
    std::ostringstream json;
    BatchDisplay lines(json, ProgressMode::json, Verbosity::normal, 2);
    lines.changed(item);
    CHECK(nlohmann::json::parse(json.str())["state"] == "done");
    std::ostringstream nothing;
    BatchDisplay quiet(nothing, ProgressMode::automatic, Verbosity::quiet, 2);
    quiet.changed(item);
    CHECK(nothing.str().empty());
    CHECK(format_duration(3.24) == "3.2 s");
    CHECK(format_duration(245) == "4:05 min");
    CHECK(format_duration(3700) == "1:01 h");
}
