// A batch over conversions that are none: what runs at once, what is remembered, and what a kill leaves.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/batch/run.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <set>

using namespace vm2oci;

namespace {

constexpr std::uint64_t kDay = 86400;

// The world in which conversions run: destinations, and a clock that goes when somebody waits.
struct World {
    test::TemporaryFolder folder{};
    std::map<std::string, std::string> published{}; // digest by destination
    std::map<std::string, int> exit_codes{};        // of sources; others end well
    std::map<std::string, unsigned> made{};         // how often a destination was published
    std::vector<std::string> begun{};
    std::vector<std::string> seen_made{}; // what the engine was told
    std::set<std::string> running{};
    std::size_t most_at_once = 0;
    std::uint64_t memory = 0;
    std::uint64_t most_memory = 0;
    int steps = 2;            // that a conversion takes
    int steps_left = 1 << 30; // until the batch is killed
    double now = 0;

    struct Killed {};

    void step() {
        if (steps_left-- == 0)
            throw Killed{};
    }
    std::filesystem::path source(const std::string& name) const { return folder.path() / name; }
    std::filesystem::path state() const { return folder.path() / "state"; }
};

class Conversion final : public RunningItem {
  public:
    Conversion(World& world, const BatchItem& item, ItemFiles files)
        : world_(world), item_(item), files_(std::move(files)), left_(world.steps) {
        world_.begun.push_back(item.name);
        world_.running.insert(item.name);
        world_.memory += item.cost.memory;
        world_.most_at_once = std::max(world_.most_at_once, world_.running.size());
        world_.most_memory = std::max(world_.most_memory, world_.memory);
    }
    ~Conversion() override {
        world_.running.erase(item_.name);
        world_.memory -= item_.cost.memory;
    }

    int descriptor() const override { return -1; }
    std::optional<ItemEnd> poll() override {
        if (left_-- > 0)
            return std::nullopt;
        const auto code = world_.exit_codes.find(item_.source);
        if (code != world_.exit_codes.end() && code->second != 0)
            return ItemEnd{code->second, "", "it went wrong; do something", 0};
        const std::string digest = "sha256:" + item_.name;
        if (item_.is_image) {
            std::ofstream(files_.digest) << digest;
            world_.step(); // killed between the digest and the reference
            world_.published[item_.destination] = digest;
        } else {
            world_.published[item_.destination] = "there";
        }
        ++world_.made[item_.destination];
        world_.step(); // killed between the reference and what is remembered
        return ItemEnd{0,
                       R"({"digest": ")" + digest +
                           R"(", "layer": {"size": 70}, "disk": {"virtual_size": 1000, "allocated_size": 100}})",
                       "", 1.5};
    }
    ItemProgress progress() const override { return {"package", 1, 2}; }

  private:
    World& world_;
    const BatchItem& item_;
    ItemFiles files_;
    int left_;
};

class Watcher final : public BatchWatcher {
  public:
    void changed(const ItemResult& item) override { states.emplace_back(item.name, item.state); }
    void running(const std::vector<std::pair<const BatchItem*, ItemProgress>>& /*items*/) override {}
    std::vector<std::pair<std::string, ItemState>> states;
};

BatchItem item(World& world, const std::string& name) {
    static std::size_t number = 0;
    const auto source = world.source(name + ".raw");
    if (!std::filesystem::exists(source))
        std::ofstream(source) << name;
    return {++number, name, source.string(), "oci:images:" + name, {"--fix"}, {{source}}, {1, 100}, "", true};
}

BatchRequest request(std::vector<BatchItem> items) {
    BatchRequest made{"list", {}, items.size(), std::move(items), {{4, 1000}, 4, 1}, AfterFailure::keep_on, "1.0"};
    return made;
}

BatchResult run(World& world, const BatchRequest& request) {
    BatchEngine engine;
    engine.start = [&](const BatchItem& each, const ItemFiles& files, unsigned /*threads*/) {
        world.step();
        return std::make_unique<Conversion>(world, each, files);
    };
    engine.made = [&](const BatchItem& each, const ItemFiles&) { world.seen_made.push_back(each.name); };
    engine.published = [&](const BatchItem& each) -> std::optional<std::string> {
        const auto found = world.published.find(each.destination);
        return found == world.published.end() ? std::nullopt : std::optional(found->second);
    };
    engine.wait = [&](const std::vector<int>& descriptors) {
        CHECK(descriptors.size() == world.running.size());
        world.step();
        world.now += 1;
    };
    engine.seconds = [&] { return world.now; };
    BatchState state(world.state());
    Watcher watcher;
    BatchResult result = run_batch(request, state, engine, watcher, {});
    for (const auto& [name, last] : watcher.states)
        CHECK(last != ItemState::waiting);
    return result;
}

std::vector<ItemState> states(const BatchResult& result) {
    std::vector<ItemState> all;
    all.reserve(result.items.size());
    for (const ItemResult& each : result.items)
        all.push_back(each.state);
    return all;
}

} // namespace

TEST_CASE("what was made is not made again, until something that it reads, its words or the program change") {
    World world;
    BatchRequest batch = request({item(world, "a"), item(world, "b")});
    CHECK(states(run(world, batch)) == std::vector{ItemState::done, ItemState::done});
    CHECK(world.seen_made == std::vector<std::string>{"a", "b"});
    const BatchResult again = run(world, batch);
    CHECK(world.seen_made == std::vector<std::string>{"a", "b", "a", "b"}); // what is there can be shared, too
    CHECK(states(again) == std::vector{ItemState::unchanged, ItemState::unchanged});
    CHECK(again.items[0].digest == "sha256:a");
    CHECK(again.items[0].stored_size == 70);
    CHECK(again.all_good());

    std::ofstream(world.source("b.raw")) << "something longer";
    CHECK(states(run(world, batch)) == std::vector{ItemState::unchanged, ItemState::done});
    std::filesystem::last_write_time(world.source("a.raw"),
                                     std::filesystem::file_time_type::clock::now() - std::chrono::seconds(kDay));
    CHECK(states(run(world, batch)) == std::vector{ItemState::done, ItemState::unchanged});
    batch.items[1].words.push_back("--sysprep");
    CHECK(states(run(world, batch)) == std::vector{ItemState::unchanged, ItemState::done});
    batch.program = "1.1";
    CHECK(states(run(world, batch)) == std::vector{ItemState::done, ItemState::done});
    // Somebody removed the one and replaced the other.
    world.published.erase("oci:images:a");
    world.published["oci:images:b"] = "sha256:other";
    CHECK(states(run(world, batch)) == std::vector{ItemState::done, ItemState::done});
    // What cannot be seen to be unchanged is converted each time.
    batch.items[0].inputs.reset();
    CHECK(states(run(world, batch)) == std::vector{ItemState::done, ItemState::unchanged});
    CHECK(states(run(world, batch)) == std::vector{ItemState::done, ItemState::unchanged});
}

TEST_CASE("killed at any moment, a batch goes on where it was and makes nothing twice") {
    for (int kill_at = 0; kill_at < 60; ++kill_at) {
        CAPTURE(kill_at);
        World world;
        std::vector<BatchItem> items;
        for (const char* name : {"a", "b", "c", "d", "e"})
            items.push_back(item(world, name));
        items[3].is_image = false;
        BatchRequest batch = request(items);
        batch.budget.jobs = 2;
        world.steps_left = kill_at;
        bool was_killed = false;
        try {
            run(world, batch);
        } catch (const World::Killed&) {
            was_killed = true;
        }
        CHECK(world.running.empty());
        const std::set<std::string> complete = [&] {
            std::set<std::string> names;
            for (const auto& [name, digest] : world.published)
                names.insert(name);
            return names;
        }();
        world.steps_left = 1 << 30;
        const BatchResult result = run(world, batch);
        CHECK(result.all_good());
        for (const ItemResult& each : result.items) {
            CAPTURE(each.name);
            // A file tells nothing of whether it is complete.
            const unsigned most = each.destination == items[3].destination && was_killed ? 2 : 1;
            CHECK(world.made[each.destination] <= most);
            if (most == 1)
                CHECK((each.state == ItemState::unchanged) == complete.contains(each.destination));
        }
    }
}

TEST_CASE("killed twenty times at random, two hundred machines are complete with none made twice") {
    World world;
    std::vector<BatchItem> items;
    items.reserve(200);
    for (int i = 0; i < 200; ++i)
        items.push_back(item(world, "m" + std::to_string(i)));
    BatchRequest batch = request(items);
    std::mt19937 random(20261129);
    for (int kill = 0; kill < 20; ++kill) {
        world.steps_left = std::uniform_int_distribution<int>(0, 60)(random);
        try {
            run(world, batch);
        } catch (const World::Killed&) {
        }
    }
    world.steps_left = 1 << 30;
    CHECK(run(world, batch).all_good());
    CHECK(world.published.size() == 200);
    for (const auto& [destination, times] : world.made)
        CHECK(times == 1);
}

TEST_CASE("as many run at once as the budget has room for, and one that is larger than it runs alone") {
    World world;
    std::vector<BatchItem> items;
    for (const char* name : {"a", "b", "c", "d", "e", "f"})
        items.push_back(item(world, name));
    BatchRequest batch = request(items);
    SECTION("jobs") {
        batch.budget.jobs = 3;
        run(world, batch);
        CHECK(world.most_at_once == 3);
    }
    SECTION("processors") {
        batch.budget.all.processors = 2;
        run(world, batch);
        CHECK(world.most_at_once == 2);
    }
    SECTION("memory") {
        batch.budget.all.memory = 250;
        batch.items[2].cost.memory = 5000;
        CHECK(run(world, batch).all_good());
        CHECK(world.most_at_once == 2);
        CHECK(world.most_memory == 5000);
    }
    SECTION("a small one overtakes one that waits for room") {
        batch.budget.all.memory = 250;
        batch.items[1].cost.memory = 200;
        run(world, batch);
        CHECK(world.begun[1] == "c");
    }
    SECTION("one at a time writes the same archive") {
        for (BatchItem& each : batch.items)
            each.exclusive = "all.tar";
        CHECK(run(world, batch).all_good());
        CHECK(world.most_at_once == 1);
    }
}

TEST_CASE("a failure stops what was not begun, or nothing, and the exit code says whether to try again") {
    World world;
    std::vector<BatchItem> items;
    for (const char* name : {"a", "b", "c", "d"})
        items.push_back(item(world, name));
    BatchRequest batch = request(items);
    batch.budget.jobs = 1;
    const int code = GENERATE(1, 2, 3, 4, 137);
    CAPTURE(code);
    world.exit_codes[items[1].source] = code;
    const ItemState bad = code == 4                ? ItemState::rejected
                          : code == 2 || code == 3 ? ItemState::refused
                                                   : ItemState::failed;

    batch.after_failure = AfterFailure::stop;
    const BatchResult stopped = run(world, batch);
    CHECK(states(stopped) == std::vector{ItemState::done, bad, ItemState::left_out, ItemState::left_out});
    CHECK(stopped.items[1].message == "it went wrong; do something");
    CHECK(exit_code_of(stopped) == (code == 137 ? 1 : code));

    batch.after_failure = AfterFailure::keep_on;
    const BatchResult others = run(world, batch);
    CHECK(states(others) == std::vector{ItemState::unchanged, bad, ItemState::done, ItemState::done});
    CHECK_FALSE(others.all_good());

    world.exit_codes.clear();
    CHECK(exit_code_of(run(world, batch)) == 0);
}

TEST_CASE("of several failures the one that another try may mend decides the exit code") {
    BatchResult result;
    const auto add = [&](ItemState state, int code) {
        ItemResult made;
        made.state = state;
        made.exit_code = code;
        result.items.push_back(made);
    };
    CHECK(exit_code_of(result) == 0);
    add(ItemState::done, 0);
    add(ItemState::refused, 2);
    CHECK(exit_code_of(result) == 2);
    add(ItemState::refused, 3);
    CHECK(exit_code_of(result) == 3);
    add(ItemState::rejected, 4);
    CHECK(exit_code_of(result) == 4);
    add(ItemState::failed, 139);
    CHECK(exit_code_of(result) == 1);
}

TEST_CASE("two batches do not work on one machine at the same time") {
    World world;
    const BatchRequest batch = request({item(world, "a")});
    BatchState other(world.state());
    const UniqueFd held = other.begin(batch.items[0], "key");
    const BatchResult result = run(world, batch);
    CHECK(result.items[0].state == ItemState::failed);
    CHECK(result.items[0].message == "another batch is at work on 'a'");
    CHECK(world.begun.empty());
}

TEST_CASE("what is remembered and damaged is forgotten") {
    World world;
    const BatchRequest batch = request({item(world, "a")});
    run(world, batch);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(world.state()))
        if (entry.path().filename() == "result.json")
            std::ofstream(entry.path()) << "{\"number\": \"x\"";
    const BatchResult result = run(world, batch);
    CHECK(result.items[0].state == ItemState::unchanged);
    CHECK(result.items[0].digest == "sha256:a");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(world.state()))
        if (entry.path().filename() == "digest")
            std::ofstream(entry.path()) << "";
    CHECK(run(world, batch).items[0].state == ItemState::done);
}
