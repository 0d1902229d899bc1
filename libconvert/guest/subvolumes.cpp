#include "libconvert/guest/subvolumes.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace vm2oci {
namespace {

constexpr std::uint64_t kTopmostTree = 5; // BTRFS_FS_TREE_OBJECTID
constexpr std::size_t kToldSnapshots = 3;

// As the kernel reads it: decimal, 0x… or 0….
std::uint64_t read_tree_number(std::string_view text) {
    const bool is_hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    const int base = is_hexadecimal ? 16 : text.size() > 1 && text.front() == '0' ? 8 : 10;
    const std::string_view digits = is_hexadecimal ? text.substr(2) : text;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size())
        fail(ErrorKind::not_found, fmt::format("subvolid={} names no subvolume", escape_untrusted(text)));
    return number == 0 ? kTopmostTree : number;
}

std::vector<std::string> at_commas(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::string_view part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(text.size(), part.size() + 1));
        if (!part.empty())
            parts.emplace_back(part);
    }
    return parts;
}

// "….snapshots/12/snapshot"
bool is_place_of_snapper(std::string_view path) {
    constexpr std::string_view kLast = "/snapshot";
    constexpr std::string_view kFolder = ".snapshots/";
    if (!path.ends_with(kLast))
        return false;
    path.remove_suffix(kLast.size());
    const std::size_t folder = path.rfind(kFolder);
    if (folder == std::string_view::npos || (folder != 0 && path[folder - 1] != '/'))
        return false;
    const std::string_view number = path.substr(folder + kFolder.size());
    return !number.empty() && number.find_first_not_of("0123456789") == std::string_view::npos;
}

} // namespace

TreeOptions read_tree_options(const std::vector<std::string>& options) {
    constexpr std::string_view kPath = "subvol=";
    constexpr std::string_view kNumber = "subvolid=";
    TreeOptions wanted;
    for (const std::string& option : options) {
        if (option.starts_with(kPath))
            wanted.path = option.substr(kPath.size());
        else if (option.starts_with(kNumber))
            wanted.number = read_tree_number(std::string_view(option).substr(kNumber.size()));
    }
    return wanted;
}

TreeOptions read_tree_options(std::string_view options) {
    return read_tree_options(at_commas(options));
}

bool has_trees(const FileSystem& file_system) {
    return file_system.subvolume("").has_value();
}

MountedTree find_tree(const FileSystem& file_system, const TreeOptions& options) {
    if (!has_trees(file_system))
        return {file_system.root(), {}};
    NodeId top = file_system.root();
    if (options.path) {
        const auto found = file_system.subvolume(*options.path);
        if (!found)
            fail(ErrorKind::not_found, fmt::format("there is no subvolume {}", quote_untrusted(*options.path)));
        top = *found;
    }
    if (options.number) {
        const auto found = file_system.subvolume(*options.number);
        if (!found)
            fail(ErrorKind::not_found, fmt::format("there is no subvolume of number {}", *options.number));
        if (options.path && *found != top)
            fail(ErrorKind::not_found, fmt::format("subvolume {} does not have the number {}",
                                                   quote_untrusted(*options.path), *options.number));
        top = *found;
    }
    for (SubvolumeFacts& subvolume : file_system.subvolumes())
        if (subvolume.root == top)
            return {top, std::move(subvolume.path)};
    return {top, {}};
}

bool is_kept_snapshot(const SubvolumeFacts& subvolume) {
    return (subvolume.origin == SubvolumeFacts::Origin::snapshot &&
            subvolume.access == SubvolumeFacts::Access::read_only) ||
           is_place_of_snapper(subvolume.path);
}

std::vector<NodeId> trees_not_exported(const std::vector<SubvolumeFacts>& subvolumes,
                                       const std::vector<NodeId>& mounted) {
    std::vector<NodeId> nodes = mounted;
    for (const SubvolumeFacts& subvolume : subvolumes)
        if (is_kept_snapshot(subvolume))
            nodes.push_back(subvolume.root);
    std::sort(nodes.begin(), nodes.end());
    return nodes;
}

std::string describe_snapshots(const std::vector<SubvolumeFacts>& subvolumes, NodeId root) {
    std::size_t count = 0;
    std::string told;
    for (const SubvolumeFacts& subvolume : subvolumes) {
        if (subvolume.root == root ||
            (subvolume.origin != SubvolumeFacts::Origin::snapshot && !is_kept_snapshot(subvolume)))
            continue;
        if (++count <= kToldSnapshots)
            told += (told.empty() ? "" : ", ") + quote_untrusted(subvolume.path);
    }
    if (count == 0)
        return {};
    return fmt::format(
        "{} snapshot{} ({}{}): no system of its own is looked for in {}, and of those that are read-only "
        "or snapper's the folders alone are packed",
        count, count == 1 ? "" : "s", told, count > kToldSnapshots ? ", …" : "", count == 1 ? "it" : "them");
}

} // namespace vm2oci
