#include "tools/vm2oci/convert_kinds.hpp"

#include "formats/base/error.hpp"
#include "tools/vm2oci/help.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace vm2oci::cli {
namespace {

using Kinds = std::uint16_t;

constexpr Kinds bit(ConvertKind kind) {
    return static_cast<Kinds>(kind);
}

constexpr Kinds kContainerDisk = bit(ConvertKind::container_disk);
constexpr Kinds kBundle = bit(ConvertKind::bundle);
constexpr Kinds kRootfs = bit(ConvertKind::rootfs);
constexpr Kinds kVm = bit(ConvertKind::vm);
constexpr Kinds kKata = bit(ConvertKind::kata);
constexpr Kinds kPlainDisk = bit(ConvertKind::plain_disk);
constexpr Kinds kPodmanMachine = bit(ConvertKind::podman_machine);
constexpr Kinds kRunv = bit(ConvertKind::runv);
constexpr Kinds kVirtlet = bit(ConvertKind::virtlet);
constexpr Kinds kContainerImages = kContainerDisk | kBundle | kRootfs | kRunv;
constexpr Kinds kImages = kContainerImages | kVm | kPodmanMachine;
constexpr Kinds kGuests = kImages | kKata | kVirtlet | kPlainDisk; // whatever a guest is read for
constexpr Kinds kAll = kGuests | bit(ConvertKind::unpacked_bundle);

struct Row {
    std::string_view option;
    Kinds kinds;
};

constexpr std::array kRows = std::to_array<Row>({
    {"--as", kAll},
    {"--arch", kAll}, // also chooses in the source's index
    {"--disk-format", kContainerDisk | kBundle | kPodmanMachine | kPlainDisk},
    {"--cluster-compression", kContainerDisk | kBundle | kPodmanMachine | kVirtlet | kPlainDisk},
    {"--size", kContainerDisk | kBundle | kVm | kPodmanMachine | kKata | kVirtlet | kPlainDisk},
    {"--no-grow", kContainerDisk | kVm | kPodmanMachine | kVirtlet | kPlainDisk},
    {"--sparsify", kContainerDisk | kBundle | kVm | kPodmanMachine | kVirtlet | kPlainDisk},
    {"--digest-file", kImages},
    {"--sbom", kGuests},
    {"--manifest", kContainerImages},
    {"--manifest-for", kContainerImages},
    {"--keep-kernel", kRootfs},
    {"--layers", kRootfs | kRunv},
    {"--kernel", kBundle | kRunv},
    {"--initrd", kBundle | kRunv},
    {"--cmdline", kBundle},
    {"--root", kBundle | kKata},
    {"--krun", kBundle},
    {"--verity", kBundle | kKata},
    {"--compression", kImages},
    {"--chunked", kContainerImages},
    {"--reuse", kImages},
    {"--against", kImages},
    {"--name", kContainerDisk},
    {"--label", kContainerImages},
    {"--annotation", kImages},
    {"--env", kContainerImages},
    {"--instancetype", kContainerDisk | kBundle | kVm},
    {"--preference", kContainerDisk | kBundle | kVm},
    {"--created", kGuests}, // edits bear it too
    {"--user-data", kGuests},
    {"--meta-data", kGuests},
    {"--network-config", kGuests},
    {"--vendor-data", kGuests},
    {"--cloud-init-as", kContainerDisk | kBundle | kPlainDisk}, // a second disk is for machines that have disks
    {"--ssh-key", kGuests},
    {"--hostname", kGuests},
    {"--agent", kGuests},
    {"--copy-in", kGuests},
    {"--sysprep", kGuests},
    {"--fix", kGuests},
    {"--dry-run", kGuests},
    {"--boot-test", kContainerDisk | kVm | kPlainDisk},
});

struct KindName {
    Kinds kind;
    std::string_view name;
};

constexpr std::array kNames = std::to_array<KindName>({
    {kContainerDisk, "--as containerdisk"},
    {kBundle, "--as bundle"},
    {kRootfs, "--as rootfs"},
    {kVm, "--as vm"},
    {kPodmanMachine, "--as podman-machine"},
    {kKata, "--as kata"},
    {kRunv, "--as runv"},
    {kVirtlet, "--as virtlet"},
    {kPlainDisk, "plain disks"},
});

std::string_view describe(ConvertKind kind) {
    if (kind == ConvertKind::unpacked_bundle)
        return "a bundle is taken apart as it is";
    if (kind == ConvertKind::plain_disk)
        return "the destination is a disk";
    const auto found = std::ranges::find(kNames, bit(kind), &KindName::kind);
    return found->name;
}

const Row* find_row(std::string_view option) {
    const auto found = std::ranges::find(kRows, option, &Row::option);
    return found == kRows.end() ? nullptr : &*found;
}

std::string applies_to(Kinds kinds) {
    std::vector<std::string_view> names;
    for (const KindName& kind : kNames)
        if ((kinds & kind.kind) != 0)
            names.push_back(kind.name);
    return fmt::format("{}", fmt::join(names, ", "));
}

} // namespace

std::string inapplicable_option(const CLI::App& command, ConvertKind kind) {
    for (const CLI::Option* option : command.get_options()) {
        const Row* row = option->count() == 0 ? nullptr : find_row(option->get_name());
        if (row != nullptr && (row->kinds & bit(kind)) == 0)
            return fmt::format("{} is for {}, and this is another kind ({}); leave it away", option->get_name(),
                               applies_to(row->kinds), describe(kind));
    }
    return {};
}

void refuse_inapplicable_options(const CLI::App& command, ConvertKind kind) {
    if (std::string text = inapplicable_option(command, kind); !text.empty())
        fail(ErrorKind::usage, std::move(text));
}

bool has_kind_row(std::string_view option) {
    return find_row(option) != nullptr;
}

} // namespace vm2oci::cli
