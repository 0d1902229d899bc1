// Trees of container images: whatever members say, a tree stays one. Every name is listed once, below a folder that
// came before, found under its path, and a file's hard links are as many as it says.
//
// The input is a list of members: a byte for what it is, two names by their lengths and bytes. 255 begins a layer.
#include "formats/base/error.hpp"
#include "libconvert/container/container_tree.hpp"

#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace {

using namespace vm2oci;

constexpr TarType kTypes[] = {TarType::regular, TarType::hard_link, TarType::symlink,     TarType::directory,
                              TarType::fifo,    TarType::other,     TarType::block_device};

// A few letters make names that meet; bytes stay as they are.
std::string take_text(std::string_view& rest) {
    if (rest.empty())
        return {};
    const std::size_t size = static_cast<unsigned char>(rest[0]) % 24;
    rest.remove_prefix(1);
    std::string text(rest.substr(0, size));
    rest.remove_prefix(text.size());
    return text;
}

void check(const ContainerTree& tree) {
    std::set<std::string> folders;
    std::set<std::string> seen;
    std::map<std::string, std::uint32_t> links;
    std::map<std::string, std::uint32_t> wanted;
    std::uint64_t files = 0;
    tree.for_each([&](const Entry& entry, const std::optional<ContainerContent>& content) {
        if (!seen.insert(entry.path).second)
            std::abort();
        const std::size_t slash = entry.path.rfind('/');
        if (!entry.path.empty() && !folders.contains(slash == std::string::npos ? "" : entry.path.substr(0, slash)))
            std::abort();
        if (entry.status.type == FileType::directory)
            folders.insert(entry.path);
        if (content && (entry.status.type != FileType::regular || entry.hard_link_to))
            std::abort();
        const std::string& first = entry.hard_link_to ? *entry.hard_link_to : entry.path;
        if (!seen.contains(first))
            std::abort();
        ++links[first];
        wanted[first] = entry.status.link_count;
        files += entry.hard_link_to ? 0U : 1U;
    });
    for (const auto& [path, count] : wanted)
        if (links.at(path) != count)
            std::abort();
    if (tree.usage().files != files)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    ContainerTree tree;
    tree.begin_layer();
    while (!rest.empty()) {
        const auto kind = static_cast<unsigned char>(rest[0]);
        rest.remove_prefix(1);
        if (kind == 255) {
            tree.begin_layer();
            continue;
        }
        TarMember member;
        member.type = kTypes[kind % std::size(kTypes)];
        const std::optional<std::string> path = clean_path(take_text(rest));
        const std::string target = take_text(rest);
        if (!path)
            continue;
        member.path = *path;
        if (member.type == TarType::hard_link || member.type == TarType::symlink)
            member.link_target = target;
        try {
            tree.add(member);
        } catch (const Error&) {
            return 0; // the image is refused, and its tree dropped
        }
    }
    check(tree);
    return 0;
}
