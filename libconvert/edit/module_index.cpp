// modules.dep as text and as the index that modprobe reads.
#include "formats/base/error.hpp"
#include "libconvert/edit/initrd.hpp"
#include "libconvert/edit/text.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace vm2oci {
namespace {

constexpr std::uint32_t kMagic = 0xB007F457;
constexpr std::uint32_t kVersion = 0x00020001;
constexpr std::uint32_t kHasChildren = 0x20000000;
constexpr std::uint32_t kHasValues = 0x40000000;
constexpr std::uint32_t kHeaderSize = 12;
constexpr std::uint32_t kOffsetLimit = 0x10000000; // the bits above are flags

std::string dependency_line(const ModuleDependencies::Module& module) {
    std::string line = module.path + ":";
    for (const std::string& need : module.needs)
        line += " " + need;
    return line;
}

void put_be32(std::string& out, std::uint32_t value) {
    out += {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
            static_cast<char>(value)};
}

// One letter of a name; a path through the trie spells it. Children always have a larger index than their parent.
struct Node {
    std::map<unsigned char, std::size_t> children;
    std::string value; // empty: no name ends here
};

} // namespace

ModuleDependencies parse_module_dependencies(std::string_view text) {
    ModuleDependencies dependencies;
    for (const std::string_view line : lines_of(text)) {
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos)
            continue;
        ModuleDependencies::Module module{std::string(trimmed(line.substr(0, colon))),
                                          words_of(line.substr(colon + 1))};
        const std::string name = module_name(module.path);
        dependencies.by_name.insert_or_assign(name, std::move(module));
    }
    return dependencies;
}

std::string format_module_dependencies(const ModuleDependencies& dependencies) {
    std::string text;
    for (const auto& [name, module] : dependencies.by_name)
        text += dependency_line(module) + "\n";
    return text;
}

std::string format_module_index(const ModuleDependencies& dependencies) {
    std::vector<Node> nodes(1);
    for (const auto& [name, module] : dependencies.by_name) {
        std::size_t at = 0;
        for (const char c : name) {
            const auto letter = static_cast<unsigned char>(c);
            const auto found = nodes[at].children.find(letter);
            if (found != nodes[at].children.end()) {
                at = found->second;
                continue;
            }
            nodes[at].children.emplace(letter, nodes.size());
            at = nodes.size();
            nodes.emplace_back();
        }
        nodes[at].value = dependency_line(module);
    }
    std::vector<std::uint32_t> places(nodes.size());
    std::string body;
    for (std::size_t index = nodes.size(); index-- > 0;) {
        const Node& node = nodes[index];
        std::uint32_t place = kHeaderSize + static_cast<std::uint32_t>(body.size());
        if (place >= kOffsetLimit)
            fail(ErrorKind::limit, "the list of the kernel's modules is larger than modprobe can read");
        if (!node.children.empty()) {
            place |= kHasChildren;
            const unsigned char first = node.children.begin()->first;
            const unsigned char last = node.children.rbegin()->first;
            body += {static_cast<char>(first), static_cast<char>(last)};
            for (unsigned letter = first; letter <= last; ++letter) {
                const auto child = node.children.find(static_cast<unsigned char>(letter));
                put_be32(body, child == node.children.end() ? 0 : places[child->second]);
            }
        }
        if (!node.value.empty()) {
            place |= kHasValues;
            put_be32(body, 1);
            put_be32(body, 0); // priority
            body += node.value;
            body += '\0';
        }
        places[index] = place;
    }
    std::string out;
    put_be32(out, kMagic);
    put_be32(out, kVersion);
    put_be32(out, places[0]);
    return out + body;
}

} // namespace vm2oci
