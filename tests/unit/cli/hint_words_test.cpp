// Every hint has words, and what they name are options that there are.
#include "runner/judge/rules.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/hint_words.hpp"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <vector>

using namespace vm2oci;

namespace {

constexpr int kHints = static_cast<int>(HintKind::accelerator) + 1;

std::set<std::string> all_options() {
    cli::CommandTable table;
    cli::add_convert_command(table);
    cli::add_boot_command(table);
    cli::add_inject_command(table);
    cli::add_inspect_command(table);
    std::set<std::string> names;
    const auto collect = [&](const CLI::App& app) {
        for (const CLI::Option* option : app.get_options())
            for (const std::string& name : option->get_lnames())
                names.insert("--" + name);
    };
    collect(table.root());
    for (const CLI::App* command : table.root().get_subcommands([](const CLI::App*) { return true; }))
        collect(*command);
    return names;
}

std::vector<std::string> options_in(const std::string& text) {
    std::vector<std::string> found;
    for (std::size_t at = text.find("--"); at != std::string::npos; at = text.find("--", at + 2)) {
        const std::size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", at);
        found.push_back(text.substr(at, end == std::string::npos ? end : end - at));
    }
    return found;
}

} // namespace

TEST_CASE("every hint has a word for programs, and words for people that name options that there are") {
    const std::set<std::string> options = all_options();
    REQUIRE(options.size() > 40);
    std::set<std::string> words;
    for (int i = 1; i < kHints; ++i) {
        const auto kind = static_cast<HintKind>(i);
        INFO(to_string(kind));
        CHECK(words.insert(std::string(to_string(kind))).second);
        const std::string said = cli::words_of({kind, "libguestfs"});
        const std::vector<std::string> named = options_in(said);
        CHECK_FALSE(named.empty());
        for (const std::string& option : named)
            CHECK(options.contains(option));
    }
    CHECK_FALSE(words.contains(""));
    CHECK(to_string(HintKind::none).empty());
    CHECK(cli::words_of({}).empty());
}

TEST_CASE("a hint's words stand behind the message, and its argument in them") {
    CHECK(cli::with_words("it is cut", {}) == "it is cut");
    CHECK(cli::with_words("it is large", HintKind::max_virtual_size) ==
          "it is large; raise it with --max-virtual-size");
    CHECK(cli::with_words("/srv is xfs", {HintKind::guest_backend, "libguestfs"}) ==
          "/srv is xfs; take --guest-backend libguestfs");
    CHECK(cli::words_of(HintKind::minimal_kernel) != cli::words_of({HintKind::minimal_kernel, "initramfs"}));
}

TEST_CASE("what the command line has for rules are options and rules that there are") {
    const std::set<std::string> options = all_options();
    unsigned ruled = 0;
    for (const auto& rules : {boot_loader_rules(), kernel_rules(), initramfs_rules(), system_rules(), judge_rules()})
        for (const Rule& rule : rules) {
            const std::string option(cli::option_for_rule(rule.id));
            ruled += option.empty() ? 0U : 1U;
            for (const std::string& name : options_in(option))
                CHECK(options.contains(name));
        }
    CHECK(ruled == 11);
}
