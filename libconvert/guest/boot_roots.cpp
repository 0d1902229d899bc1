#include "libconvert/guest/boot_roots.hpp"

#include "formats/base/ascii.hpp"
#include "formats/base/error.hpp"
#include "libconvert/guest/release_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

namespace vm2oci {
namespace {

constexpr std::size_t kBootConfigurationLimit = 4ull * 1024 * 1024;

struct BootEntry {
    std::vector<std::string> names; // title and identifier, without the menus around them
    std::size_t item = 0;           // of the top menu's items, the one that holds it
    std::string options;
};

std::vector<std::string> blank_separated(const std::string& text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;)
        words.push_back(std::move(word));
    return words;
}

std::string without_quotes(std::string text) {
    std::erase_if(text, [](char c) { return c == '"' || c == '\''; });
    return text;
}

std::optional<BootRoot> root_of(const std::string& options) {
    constexpr std::string_view kFlags = "rootflags=";
    BootRoot root;
    for (const std::string& quoted : blank_separated(options)) {
        const std::string word = without_quotes(quoted);
        if (word.starts_with("root=") && word.size() > 5)
            root.root = word.substr(5);
        else if (word.starts_with(kFlags)) // the kernel joins what stands in several
            root.flags += (root.flags.empty() ? "" : ",") + word.substr(kFlags.size());
    }
    return root.root.empty() ? std::nullopt : std::optional(root);
}

std::map<std::string, std::string> read_environment(const Guest& files, const std::string& path) {
    std::map<std::string, std::string> values;
    std::istringstream lines(try_read_text(files, path, kBootConfigurationLimit).value_or(""));
    for (std::string line; std::getline(lines, line);)
        if (const std::size_t equals = line.find('='); equals != std::string::npos && !line.starts_with("#"))
            values[line.substr(0, equals)] = line.substr(equals + 1);
    return values;
}

// "menuentry 'Title' --class x --id 'identifier' {" → the words behind the directive, quotes taken off.
std::vector<std::string> quoted_words(const std::string& line) {
    std::vector<std::string> words;
    std::string word;
    char quote = 0;
    bool any = false;
    for (const char c : line) {
        if (quote != 0 ? c == quote : c == '"' || c == '\'') {
            quote = quote != 0 ? '\0' : c;
            any = true;
        } else if (quote == 0 && (c == ' ' || c == '\t')) {
            if (any || !word.empty())
                words.push_back(word);
            word.clear();
            any = false;
        } else {
            word += c;
        }
    }
    if (any || !word.empty())
        words.push_back(word);
    return words;
}

struct GrubMenu {
    std::vector<BootEntry> entries;
    std::string default_entry; // as "set default=" has it
    bool reads_loader_entries = false;
};

GrubMenu read_grub_menu(const std::string& text) {
    GrubMenu menu;
    std::size_t items = 0;
    unsigned depth = 0; // of menus
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const std::vector<std::string> words = quoted_words(line);
        if (words.empty())
            continue;
        const std::string& directive = words.front();
        if (directive == "menuentry" || directive == "submenu") {
            if (depth == 0)
                ++items;
            ++depth;
            if (directive == "submenu" || words.size() < 2)
                continue;
            BootEntry entry;
            entry.item = items - 1;
            entry.names.push_back(words[1]);
            for (std::size_t i = 2; i + 1 < words.size(); ++i)
                if (words[i] == "--id" || words[i] == "$menuentry_id_option")
                    entry.names.push_back(words[i + 1]);
            menu.entries.push_back(std::move(entry));
        } else if (directive == "}" && depth > 0) {
            --depth;
        } else if (directive == "blscfg") {
            menu.reads_loader_entries = true;
        } else if (directive == "set" && words.size() > 1 && words[1].starts_with("default=") && depth == 0) {
            // "if [ "${next_entry}" ] … else set default="${saved_entry}"": the last one is the usual one.
            menu.default_entry = words[1].substr(8);
        } else if (directive.starts_with("linux") && !menu.entries.empty() && menu.entries.back().options.empty()) {
            menu.entries.back().options = line.substr(line.find(directive) + directive.size());
        }
    }
    return menu;
}

// GRUB Legacy: "title …" begins an entry, "kernel …" tells it.
GrubMenu read_legacy_menu(const std::string& text) {
    GrubMenu menu;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("default="))
            menu.default_entry = line.substr(8);
        const std::vector<std::string> words = blank_separated(line);
        if (words.size() < 2)
            continue;
        if (words[0] == "default")
            menu.default_entry = words[1];
        else if (words[0] == "title")
            menu.entries.push_back({{line.substr(line.find("title") + 6)}, menu.entries.size(), ""});
        else if ((words[0] == "kernel" || words[0] == "module") && !menu.entries.empty() &&
                 menu.entries.back().options.find("root=") == std::string::npos)
            menu.entries.back().options = line;
    }
    return menu;
}

// Boot Loader Specification: one file an entry; GRUB and systemd-boot begin with the newest.
std::vector<BootEntry> read_loader_entries(const Guest& files, const std::string& folder,
                                           const std::map<std::string, std::string>& environment) {
    std::vector<std::string> names;
    try {
        names = files.list(folder).value_or(std::vector<std::string>());
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
    }
    std::erase_if(names, [](const std::string& name) { return !name.ends_with(".conf"); });
    std::sort(names.begin(), names.end(), is_newer_release);
    std::vector<BootEntry> entries;
    for (const std::string& name : names) {
        BootEntry entry{{name.substr(0, name.size() - 5), name}, entries.size(), ""};
        const std::string path = fmt::format("{}/{}", folder, name);
        std::istringstream lines(try_read_text(files, path, kBootConfigurationLimit).value_or(""));
        for (std::string line; std::getline(lines, line);) {
            const std::size_t begin = line.find_first_not_of(" \t");
            if (begin == std::string::npos)
                continue;
            const std::string text = line.substr(begin);
            if (text.starts_with("options ") || text.starts_with("options\t"))
                entry.options += text.substr(7) + " ";
            if (text.starts_with("title ") || text.starts_with("title\t"))
                if (const std::size_t title = text.find_first_not_of(" \t", 5); title != std::string::npos)
                    entry.names.push_back(text.substr(title));
        }
        for (const auto& [key, value] : environment)
            if (const std::size_t at = entry.options.find("$" + key); at != std::string::npos)
                entry.options.replace(at, key.size() + 1, value);
        entries.push_back(std::move(entry));
    }
    return entries;
}

// extlinux: "LABEL x" begins an entry, "DEFAULT x" or a menu's mark chooses one.
GrubMenu read_syslinux_menu(const std::string& text) {
    GrubMenu menu;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const std::vector<std::string> words = blank_separated(line);
        if (words.empty())
            continue;
        const std::string directive = to_lower_ascii(words[0]);
        if (directive == "label" && words.size() > 1)
            menu.entries.push_back({{words[1]}, menu.entries.size(), ""});
        else if (directive == "default" && words.size() > 1)
            menu.default_entry = words[1];
        else if (directive == "append" && !menu.entries.empty())
            menu.entries.back().options = line;
        else if (directive == "menu" && words.size() > 1 && to_lower_ascii(words[1]) == "default" &&
                 !menu.entries.empty())
            menu.default_entry = menu.entries.back().names.front();
    }
    return menu;
}

void add_roots(const GrubMenu& menu, const std::string& saved_entry, std::vector<BootRoot>& roots) {
    std::string wanted = menu.default_entry;
    if (wanted.empty() || wanted.find("saved") != std::string::npos || wanted.find("next_entry") != std::string::npos)
        wanted = saved_entry.empty() ? "0" : saved_entry;
    // "menu>entry", each by title, identifier or number.
    if (const std::size_t last = wanted.rfind('>'); last != std::string::npos)
        wanted = wanted.substr(last + 1);
    const bool is_number = !wanted.empty() && wanted.find_first_not_of("0123456789") == std::string::npos;
    const auto chosen = std::find_if(menu.entries.begin(), menu.entries.end(), [&](const BootEntry& entry) {
        return std::find(entry.names.begin(), entry.names.end(), wanted) != entry.names.end() ||
               (is_number && std::to_string(entry.item) == wanted);
    });
    if (chosen != menu.entries.end())
        if (const auto root = root_of(chosen->options))
            roots.push_back(*root);
    for (const BootEntry& entry : menu.entries)
        if (const auto root = root_of(entry.options))
            roots.push_back(*root);
}

} // namespace

std::vector<BootRoot> read_boot_roots(const Guest& files, const std::string& folder) {
    std::vector<BootRoot> roots;
    for (const char* grub : {"/grub2", "/grub"}) {
        const std::string at = folder + grub;
        const auto environment = read_environment(files, at + "/grubenv");
        const auto saved = environment.find("saved_entry");
        const std::string saved_entry = saved == environment.end() ? "" : saved->second;
        if (const auto text = try_read_text(files, at + "/grub.cfg", kBootConfigurationLimit)) {
            GrubMenu menu = read_grub_menu(*text);
            if (menu.reads_loader_entries) {
                menu.entries = read_loader_entries(files, folder + "/loader/entries", environment);
                menu.default_entry.clear();
            }
            add_roots(menu, saved_entry, roots);
        }
        for (const char* legacy : {"/menu.lst", "/grub.conf"})
            if (const auto text = try_read_text(files, at + legacy, kBootConfigurationLimit))
                add_roots(read_legacy_menu(*text), "", roots);
    }
    if (roots.empty())
        add_roots({read_loader_entries(files, folder + "/loader/entries", {}), "", true}, "", roots);
    for (const char* syslinux : {"/extlinux.conf", "/extlinux/extlinux.conf", "/syslinux/syslinux.cfg"})
        if (const auto text = try_read_text(files, folder + syslinux, kBootConfigurationLimit))
            add_roots(read_syslinux_menu(*text), "", roots);
    return roots;
}

} // namespace vm2oci
