// What the words of `batch` become: shares, budgets, folders, and files that appear together.
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/vm2oci/batch_options.hpp"
#include "tools/vm2oci/batch_reports.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>

using namespace vm2oci;
using namespace vm2oci::cli;
using test::error_of;

namespace {

constexpr const char* kPodIndex = "JOB_COMPLETION_INDEX";

// As a cluster sets it; null: there is no cluster.
class PodIndex {
  public:
    explicit PodIndex(const char* value) { value == nullptr ? ::unsetenv(kPodIndex) : ::setenv(kPodIndex, value, 1); }
    ~PodIndex() { ::unsetenv(kPodIndex); }
    PodIndex(const PodIndex&) = delete;
    PodIndex& operator=(const PodIndex&) = delete;
};

BatchArguments with_share(std::optional<std::size_t> index, std::optional<std::size_t> of) {
    BatchArguments arguments;
    arguments.index = index;
    arguments.of = of;
    return arguments;
}

BatchResult one_machine(ItemState state, const std::string& destination) {
    ItemResult item;
    item.number = 1;
    item.name = "web01";
    item.source = "web01.vmdk";
    item.destination = destination;
    item.state = state;
    item.digest = "sha256:" + std::string(64, 'a');
    return {"machines.txt", {}, 1, 2.5, {item}};
}

} // namespace

TEST_CASE("without shares all of a list is meant") {
    const PodIndex none(nullptr);
    const BatchShare all = share_of({});
    CHECK(all.index == 0);
    CHECK(all.of == 1);
    CHECK(error_of([] { share_of(with_share(0, std::nullopt)); }).kind() == ErrorKind::usage);
}

TEST_CASE("a share's number is that of the words, before that of the pod") {
    const PodIndex pod("3");
    CHECK(share_of(with_share(std::nullopt, 4)).index == 3);
    CHECK(share_of(with_share(1, 4)).index == 1);
    CHECK(share_of(with_share(3, 4)).of == 4);
    const Error beyond = error_of([] { share_of(with_share(4, 4)); });
    CHECK(beyond.kind() == ErrorKind::usage);
    CHECK(beyond.message() == "there is no share 4 of 4: the first is 0");
    CHECK(error_of([] { share_of(with_share(std::nullopt, 3)); }).kind() == ErrorKind::usage);
}

TEST_CASE("a pod's number that is none is refused") {
    for (const char* value : {"", "x", "-1", "1 ", "0x1", "1234567890", "1.0"}) {
        CAPTURE(value);
        const PodIndex pod(value);
        CHECK(error_of([] { share_of(with_share(std::nullopt, 2)); }).kind() == ErrorKind::usage);
    }
    const PodIndex none(nullptr);
    CHECK(error_of([] { share_of(with_share(std::nullopt, 2)); }).kind() == ErrorKind::usage);
}

TEST_CASE("a batch has one list, and remembers beside it") {
    BatchArguments arguments;
    CHECK(error_of([&] { the_list(arguments); }).kind() == ErrorKind::usage);
    arguments.lists = {"machines.txt"};
    CHECK(the_list(arguments) == "machines.txt");
    CHECK(state_folder(arguments) == "machines.txt.state");
    arguments.state = "/var/lib/batch";
    CHECK(state_folder(arguments) == "/var/lib/batch");
    arguments.lists = {"-"};
    CHECK(state_folder(arguments) == "/var/lib/batch");
    arguments.state.clear();
    CHECK(error_of([&] { state_folder(arguments); }).kind() == ErrorKind::usage); // beside what?
    arguments.lists = {"a", "b"};
    CHECK(error_of([&] { the_list(arguments); }).kind() == ErrorKind::usage);
}

TEST_CASE("a list is read whole, or refused") {
    const test::TemporaryFolder folder;
    const std::string path = (folder.path() / "list").string();
    CHECK(error_of([&] { read_list(path, 10); }).kind() == ErrorKind::not_found);
    std::ofstream(path) << "0123456789";
    CHECK(read_list(path, 10) == "0123456789");
    CHECK(error_of([&] { read_list(path, 9); }).kind() == ErrorKind::limit);
}

TEST_CASE("what machines may take together is divided among those that run at once") {
    struct Row {
        std::optional<std::size_t> jobs;
        unsigned threads; // of the program; 0: nobody said
        std::size_t items;
        std::size_t at_once;
        unsigned each;
        unsigned all;
    };
    for (const Row& row : {Row{std::nullopt, 4, 10, 4, 1, 4}, // one for each processor
                           {std::nullopt, 4, 3, 3, 1, 4},     // there are no more
                           {std::nullopt, 8, 2, 2, 4, 8},
                           {2, 8, 10, 2, 4, 8},
                           {3, 8, 10, 3, 2, 8},
                           {16, 4, 10, 10, 1, 10}, // as many as were asked for, and there are
                           {5, 2, 0, 1, 2, 2}}) {
        BatchArguments arguments;
        arguments.jobs = row.jobs;
        arguments.memory = "6G";
        const BatchBudget budget = budget_for(arguments, row.threads, row.items);
        CAPTURE(row.jobs.value_or(0), row.threads, row.items);
        CHECK(budget.jobs == row.at_once);
        CHECK(budget.threads == row.each);
        CHECK(budget.all.processors == row.all);
        CHECK(budget.all.memory == 6 * GiB);
    }
    const BatchBudget here = budget_for({}, 0, 1000);
    CHECK(here.jobs == here.all.processors);
    CHECK(here.all.memory == available_budget().memory);
}

TEST_CASE("files about a batch appear together, and only a machine that is there has a digest") {
    const test::TemporaryFolder folder;
    const auto at = [&](const char* name) { return (folder.path() / name).string(); };
    const auto content = [&](const char* name) { return read_file(at(name), MiB); };
    BatchArguments arguments;
    arguments.junit = at("junit.xml");
    arguments.report = at("page.html");
    arguments.digest_file = at("digest");
    arguments.destination_file = at("destination");
    {
        BatchReports reports(arguments, {});
        CHECK_FALSE(content("junit.xml")); // nothing is there before it is known
        reports.write(one_machine(ItemState::done, "docker://registry.example/web:1"));
    }
    CHECK(content("digest") == "sha256:" + std::string(64, 'a'));
    CHECK(content("destination") == "registry.example/web:1");
    CHECK(content("junit.xml").value_or("").find("web01") != std::string::npos);
    CHECK(content("page.html").value_or("").find("web01") != std::string::npos);

    BatchReports(arguments, {}).write(one_machine(ItemState::unchanged, "oci:/images:web"));
    CHECK(content("destination") == "oci:/images:web");
    // What is not there has no digest: the files tell of the last one that was.
    BatchReports(arguments, {}).write(one_machine(ItemState::failed, "docker://registry.example/web:2"));
    CHECK(content("destination") == "oci:/images:web");
    CHECK(content("junit.xml").value_or("").find("<error type=\"failed\"") != std::string::npos);
    arguments.digest_file = at("other");
    BatchReports(arguments, {}).write({"machines.txt", {}, 0, 0, {}}); // of a share without machines
    CHECK_FALSE(content("other"));

    arguments.report = at("no/such/folder/page.html");
    CHECK_THROWS_AS(BatchReports(arguments, {}), Error);
}
