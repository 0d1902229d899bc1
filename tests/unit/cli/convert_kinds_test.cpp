#include "formats/base/error.hpp"
#include "tools/vm2oci/command_table.hpp"
#include "tools/vm2oci/convert_kinds.hpp"
#include "tools/vm2oci/help.hpp"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace vm2oci;
using namespace vm2oci::cli;

namespace {

constexpr ConvertKind kKinds[] = {ConvertKind::container_disk, ConvertKind::bundle,     ConvertKind::rootfs,
                                  ConvertKind::kata,           ConvertKind::plain_disk, ConvertKind::unpacked_bundle};

// What is said of one option, given to convert, and of one kind.
std::optional<std::string> refusal(const std::vector<std::string>& words, ConvertKind kind) {
    CommandTable table;
    add_convert_command(table);
    std::vector<std::string> arguments = {"convert", "a", "b"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    table.parse(arguments);
    try {
        refuse_inapplicable_options(*table.root().get_subcommand("convert"), kind);
        return std::nullopt;
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::usage);
        return error.message();
    }
}

} // namespace

TEST_CASE("every option of convert that makes or changes something says to which kinds it applies") {
    CommandTable table;
    add_convert_command(table);
    const std::set<std::string> groups = {group::output, group::image, group::edits};
    std::size_t seen = 0;
    for (const CLI::Option* option : table.root().get_subcommand("convert")->get_options()) {
        if (!groups.contains(option->get_group()) || option->get_name().rfind("--", 0) != 0)
            continue;
        ++seen;
        CAPTURE(option->get_name());
        CHECK(has_kind_row(option->get_name()));
    }
    CHECK(seen > 30);
}

TEST_CASE("an option that a kind would ignore is refused by name") {
    struct Row {
        std::vector<std::string> words;
        std::set<ConvertKind> kinds; // to which it applies
    };
    using enum ConvertKind;
    const Row row = GENERATE(
        Row{{"--size", "4G"}, {container_disk, bundle, kata, plain_disk}}, Row{{"--kernel", "minimal"}, {bundle}},
        Row{{"--initrd", "none"}, {bundle}}, Row{{"--cmdline", "quiet"}, {bundle}}, Row{{"--krun"}, {bundle}},
        Row{{"--verity"}, {bundle, kata}}, Row{{"--digest-file", "d"}, {container_disk, bundle, rootfs}},
        Row{{"--root", "erofs"}, {bundle, kata}}, Row{{"--keep-kernel"}, {rootfs}},
        Row{{"--layers", "split"}, {rootfs}}, Row{{"--name", "web.img"}, {container_disk}},
        Row{{"--boot-test"}, {container_disk, plain_disk}}, Row{{"--sparsify"}, {container_disk, bundle, plain_disk}},
        Row{{"--disk-format", "raw"}, {container_disk, bundle, plain_disk}},
        Row{{"--cloud-init-as", "disk"}, {container_disk, bundle, plain_disk}},
        Row{{"--label", "a=b"}, {container_disk, bundle, rootfs}},
        Row{{"--compression", "gzip"}, {container_disk, bundle, rootfs}},
        Row{{"--instancetype", "u1.small"}, {container_disk, bundle}},
        Row{{"--hostname", "web"}, {container_disk, bundle, rootfs, kata, plain_disk}},
        Row{{"--sysprep"}, {container_disk, bundle, rootfs, kata, plain_disk}},
        Row{{"--dry-run"}, {container_disk, bundle, rootfs, kata, plain_disk}},
        Row{{"--sbom", "s.json"}, {container_disk, bundle, rootfs, kata, plain_disk}},
        Row{{"--arch", "arm64"}, {container_disk, bundle, rootfs, kata, plain_disk, unpacked_bundle}});
    for (const ConvertKind kind : kKinds) {
        CAPTURE(row.words, static_cast<int>(kind));
        const std::optional<std::string> said = refusal(row.words, kind);
        CHECK(said.has_value() != row.kinds.contains(kind));
        if (said)
            CHECK(said->find(row.words.front()) == 0);
    }
}

TEST_CASE("options that are left at their defaults are nobody's mistake") {
    for (const ConvertKind kind : kKinds)
        CHECK_FALSE(refusal({}, kind));
}
