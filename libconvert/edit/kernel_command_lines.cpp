#include "libconvert/edit/kernel_command_lines.hpp"

#include "formats/base/escape.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::string_view kGrubEnvironmentHead = "# GRUB Environment Block\n";
const std::vector<std::string_view> kOptionSettings = {"kernelopts", "default_kernelopts"};
constexpr std::size_t kGrubEnvironmentSize = 1024; // what GRUB's tools make

// What stands on a line before the command line's words, and what must stay there.
struct Split {
    std::string head; // with the blank behind it
    std::string rest;
};

// `linux /vmlinuz root=… ro`: the directive and the kernel's path belong to the head.
std::optional<Split> split_directive(const std::string& line, std::initializer_list<std::string_view> directives,
                                     unsigned words_in_head) {
    std::size_t at = line.find_first_not_of(" \t");
    if (at == std::string::npos)
        return std::nullopt;
    for (const std::string_view directive : directives) {
        const std::size_t end = at + directive.size();
        if (to_lower(std::string_view(line).substr(at, directive.size())) != directive || end >= line.size() ||
            (line[end] != ' ' && line[end] != '\t'))
            continue;
        std::size_t position = end;
        for (unsigned i = 0; i < words_in_head; ++i) {
            position = line.find_first_not_of(" \t", position);
            if (position == std::string::npos)
                return std::nullopt;
            position = line.find_first_of(" \t", position);
            if (position == std::string::npos)
                return Split{line + " ", ""};
        }
        position = line.find_first_not_of(" \t", position);
        if (position == std::string::npos)
            return Split{line + " ", ""};
        return Split{line.substr(0, position), line.substr(position)};
    }
    return std::nullopt;
}

using SplitLine = std::optional<Split> (*)(const std::string& line);

// Lines that are a command line each.
void change_lines(PlanBuilder& plan, const std::string& path, SplitLine split, const CommandLineChange& change,
                  const std::string& reason) {
    const auto text = plan.read_text(path);
    if (!text)
        return;
    std::string out;
    bool changed = false;
    for (const std::string_view view : lines_of(*text)) {
        const std::string line(view);
        const auto parts = split(line);
        if (!parts) {
            out += line + "\n";
            continue;
        }
        const std::vector<std::string> before = kernel_words(parts->rest);
        const std::vector<std::string> after = change(before);
        changed = changed || after != before;
        out += after == before ? line + "\n" : fmt::format("{}{}\n", parts->head, fmt::join(after, " "));
    }
    if (changed)
        plan.write(path, out, reason);
}

// Lines that are one command line together.
void change_joined_lines(PlanBuilder& plan, const std::string& path, SplitLine split, const CommandLineChange& change,
                         const std::string& reason) {
    const auto text = plan.read_text(path);
    if (!text)
        return;
    std::vector<std::string> lines;
    std::vector<std::pair<std::size_t, Split>> parts; // by line
    std::vector<std::string> before;
    for (const std::string_view line : lines_of(*text)) {
        lines.emplace_back(line);
        if (auto found = split(lines.back())) {
            const std::vector<std::string> words = kernel_words(found->rest);
            before.insert(before.end(), words.begin(), words.end());
            parts.emplace_back(lines.size() - 1, std::move(*found));
        }
    }
    if (parts.empty())
        return;
    const std::vector<std::string> after = change(before);
    if (after == before)
        return;
    if (parts.size() == 1) {
        lines[parts[0].first] = fmt::format("{}{}", parts[0].second.head, fmt::join(after, " "));
        return plan.write(path, join_lines(lines), reason);
    }
    const WordChanges changes = compare_words(before, after);
    std::size_t at = 0;
    bool is_added = changes.added.empty();
    for (const auto& [line, part] : parts) {
        std::vector<std::string> words;
        const auto add = [&] {
            if (!std::exchange(is_added, true))
                words.insert(words.end(), changes.added.begin(), changes.added.end());
        };
        for (std::size_t count = kernel_words(part.rest).size(); count != 0; --count, ++at) {
            if (before[at] == "--")
                add();
            if (changes.words[at])
                words.push_back(*changes.words[at]);
        }
        if (line == parts.back().first)
            add();
        lines[line] = fmt::format("{}{}", part.head, fmt::join(words, " "));
    }
    plan.write(path, join_lines(lines), reason);
}

std::optional<Split> split_assignment(const std::string& line, std::string_view key) {
    if (!line.starts_with(key))
        return std::nullopt;
    return Split{std::string(key), line.substr(key.size())};
}

void change_grub_environment(PlanBuilder& plan, const std::string& path, const CommandLineChange& change,
                             const std::string& reason) {
    const auto text = plan.read_text(path);
    if (!text)
        return;
    const std::size_t key = text->find("\nkernelopts=");
    if (!text->starts_with(kGrubEnvironmentHead) || key == std::string::npos) {
        if (text->find("kernelopts=") != std::string::npos)
            plan.found(escape_untrusted(path) + " is no environment block of GRUB, and is not changed");
        return;
    }
    const std::size_t begin = key + std::string_view("\nkernelopts=").size();
    const std::size_t end = std::min(text->find('\n', begin), text->size());
    const std::vector<std::string> before = kernel_words(std::string_view(*text).substr(begin, end - begin));
    const std::vector<std::string> after = change(before);
    if (after == before)
        return;
    std::string out = *text;
    out.erase(out.find_last_not_of('#') + 1);
    out.replace(begin, end - begin, fmt::format("{}", fmt::join(after, " ")));
    if (!out.ends_with('\n'))
        out += '\n';
    // GRUB writes the block in place: it keeps its size, whatever that is.
    if (out.size() > text->size())
        return plan.found(escape_untrusted(path) + " has no room for a longer kernel command line");
    if (text->size() != kGrubEnvironmentSize)
        plan.found(fmt::format("{} has {} bytes instead of the {} that GRUB's tools make, and keeps them",
                               escape_untrusted(path), text->size(), kGrubEnvironmentSize));
    out.resize(text->size(), '#');
    plan.write(path, out, reason);
}

// `linux KERNEL WORD…` of GRUB's script, wherever it stands on a line and over however many.
struct GrubEntry {
    std::vector<ShellSpan> words;
    std::size_t end = 0; // of the kernel's path, where there are no words
};

std::vector<GrubEntry> grub_entries(std::string_view text) {
    std::vector<GrubEntry> entries;
    const auto script = parse_shell(text);
    for (const ShellCommand& command : script ? script->commands : std::vector<ShellCommand>()) {
        const ShellSpan first = command.words.front();
        const std::string_view name = text.substr(first.begin, first.end - first.begin);
        if ((name == "linux" || name == "linux16" || name == "linuxefi") && command.words.size() > 1)
            entries.push_back({{command.words.begin() + 2, command.words.end()}, command.words[1].end});
    }
    return entries;
}

std::vector<std::string> entry_words(std::string_view text, const GrubEntry& entry) {
    std::vector<std::string> words;
    for (const ShellSpan word : entry.words) {
        words.emplace_back();
        for (const ShellUnit& unit : shell_units(text, word))
            words.back() += unit.text;
    }
    return words;
}

// In a boot loader's script, a word that was there keeps its quotes.
std::string written_entry(std::string_view text, const GrubEntry& entry, const std::vector<std::string>& before,
                          const std::vector<std::string>& after) {
    std::vector<bool> used(before.size());
    std::string out;
    for (const std::string& word : after) {
        std::size_t old = 0;
        while (old < before.size() && (used[old] || before[old] != word))
            ++old;
        std::string separator = " ";
        if (old == before.size()) {
            const bool plain = word.find_first_of(" \t\n\"'\\$;&|<>{}#") == std::string::npos;
            out += separator + (plain ? word : '"' + shell_quoted(word, '"') + '"');
            continue;
        }
        used[old] = true;
        if (old != 0 && entry.words[old].begin > entry.words[old - 1].end) {
            const auto gap = text.substr(entry.words[old - 1].end, entry.words[old].begin - entry.words[old - 1].end);
            if (gap.find('\n') != std::string_view::npos)
                separator = gap; // a continued line
        }
        out +=
            separator + std::string(text.substr(entry.words[old].begin, entry.words[old].end - entry.words[old].begin));
    }
    return out;
}

void change_grub_script(PlanBuilder& plan, const std::string& path, const CommandLineChange& change,
                        const std::string& reason) {
    const auto text = plan.read_text(path);
    if (!text)
        return;
    if (!parse_shell(*text))
        return plan.found(escape_untrusted(path) + " is no script that can be read, and is not changed");
    std::string out = *text;
    const std::vector<GrubEntry> entries = grub_entries(*text);
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
        const std::vector<std::string> before = entry_words(*text, *entry);
        const std::vector<std::string> after = change(before);
        if (after == before)
            continue;
        const std::size_t end = entry->words.empty() ? entry->end : entry->words.back().end;
        std::string words = written_entry(*text, *entry, before, after);
        // What stands between the kernel and the first word stays, too.
        const std::size_t begin = entry->words.empty() ? entry->end : entry->words.front().begin;
        if (!entry->words.empty() && !words.empty())
            words.erase(0, 1);
        out.replace(begin, end - begin, words);
    }
    if (const auto changed = with_changed_values(out, kOptionSettings, change))
        out = *changed;
    if (out != *text)
        plan.write(path, out, reason);
}

std::optional<Split> split_loader_entry(const std::string& line) {
    auto parts = split_directive(line, {"options"}, 0);
    // Options that come from grubenv as a whole are changed there.
    return parts && parts->rest.find("$kernelopts") != std::string::npos ? std::nullopt : parts;
}
std::optional<Split> split_syslinux_entry(const std::string& line) {
    return split_directive(line, {"append"}, 0);
}
std::optional<Split> split_legacy_entry(const std::string& line) {
    auto parts = split_directive(line, {"kernel"}, 1);
    return parts && parts->head.find("xen") != std::string::npos ? std::nullopt : parts;
}
std::optional<Split> split_whole_line(const std::string& line) {
    return line.starts_with("#") || trimmed(line).empty() ? std::nullopt : std::optional(Split{"", line});
}

enum class PlaceForm { grub_script, lines, joined_lines };

struct Place {
    const char* pattern;
    PlaceForm form;
    SplitLine split;
};

constexpr Place kPlaces[] = {
    {"/boot/grub/grub.cfg", PlaceForm::grub_script, nullptr},
    {"/boot/grub2/grub.cfg", PlaceForm::grub_script, nullptr},
    {"/boot/grub/custom.cfg", PlaceForm::grub_script, nullptr},
    {"/boot/grub2/custom.cfg", PlaceForm::grub_script, nullptr},
    {"/boot/efi/EFI/*/grub.cfg", PlaceForm::grub_script, nullptr},
    {"/boot/loader/entries/*.conf", PlaceForm::joined_lines, split_loader_entry},
    {"/boot/efi/loader/entries/*.conf", PlaceForm::joined_lines, split_loader_entry},
    {"/efi/loader/entries/*.conf", PlaceForm::joined_lines, split_loader_entry},
    {"/boot/extlinux.conf", PlaceForm::lines, split_syslinux_entry},
    {"/boot/extlinux/extlinux.conf", PlaceForm::lines, split_syslinux_entry},
    {"/boot/syslinux/syslinux.cfg", PlaceForm::lines, split_syslinux_entry},
    {"/boot/grub/menu.lst", PlaceForm::lines, split_legacy_entry},
    {"/boot/grub/grub.conf", PlaceForm::lines, split_legacy_entry},
    {"/etc/kernel/cmdline", PlaceForm::joined_lines, split_whole_line},
};

// Text that other boot loaders read, or of which images are made that hold a command line.
constexpr const char* kOtherLoaders[] = {
    "/etc/lilo.conf",         "/boot/efi/EFI/*/elilo.conf", "/boot/refind_linux.conf", "/boot/limine.conf",
    "/boot/limine.cfg",       "/boot/limine/limine.conf",   "/boot/cmdline.txt",       "/boot/firmware/cmdline.txt",
    "/boot/uEnv.txt",         "/boot/armbianEnv.txt",       "/etc/zipl.conf",          "/etc/cmdline.d/*.conf",
    "/usr/lib/kernel/cmdline"};
constexpr const char* kUnifiedImages[] = {"/boot/efi/EFI/Linux/*.efi", "/boot/EFI/Linux/*.efi", "/efi/EFI/Linux/*.efi"};
constexpr const char* kGrubEnvironments[] = {"/boot/grub2/grubenv", "/boot/grub/grubenv", "/boot/efi/EFI/*/grubenv"};

// Links such as menu.lst -> grub.conf lead to one file, which is changed once.
std::vector<std::pair<std::string, const Place*>> entry_files(const PlanBuilder& plan) {
    std::vector<std::pair<std::string, const Place*>> files;
    for (const Place& place : kPlaces)
        for (const std::string& path : plan.glob(place.pattern)) {
            const auto canonical = plan.resolve(path, FinalLink::follow);
            if (canonical &&
                std::none_of(files.begin(), files.end(), [&](const auto& file) { return file.first == *canonical; }))
                files.emplace_back(*canonical, &place);
        }
    return files;
}

std::vector<std::string> environment_files(const PlanBuilder& plan) {
    std::vector<std::string> files;
    for (const char* pattern : kGrubEnvironments)
        for (const std::string& path : plan.glob(pattern))
            if (const auto canonical = plan.resolve(path, FinalLink::follow);
                canonical && std::find(files.begin(), files.end(), *canonical) == files.end())
                files.push_back(*canonical);
    return files;
}

// Entries that take their words from $kernelopts have some only if something sets it.
void find_lost_options(PlanBuilder& plan) {
    for (const std::string& path : environment_files(plan))
        if (plan.read_text(path).value_or("").find("\nkernelopts=") != std::string::npos)
            return;
    std::string entry;
    for (const auto& [path, place] : entry_files(plan)) {
        const std::string text = plan.read_text(path).value_or("");
        if (place->form == PlaceForm::grub_script && text.find("kernelopts=") != std::string::npos)
            return;
        if (place->form == PlaceForm::joined_lines && text.find("$kernelopts") != std::string::npos)
            entry = path;
    }
    if (!entry.empty())
        plan.found(fmt::format("{} takes its kernel command line from GRUB's $kernelopts, and neither grubenv nor "
                               "grub.cfg was found to set it: it is not changed",
                               escape_untrusted(entry)));
}

void find_other_loaders(PlanBuilder& plan, const CommandLineChange& change) {
    for (const char* pattern : kOtherLoaders)
        for (const std::string& path : plan.glob(pattern)) {
            const auto words = kernel_words(plan.read_text(path).value_or(""));
            if (!words.empty() && change(words) != words)
                plan.found(fmt::format("{} has a kernel command line of its own, which is not changed",
                                       escape_untrusted(path)));
        }
    for (const char* pattern : kUnifiedImages)
        for (const std::string& path : plan.glob(pattern))
            plan.found(fmt::format("{} is a unified kernel image: the command line inside of it is not changed",
                                   escape_untrusted(path)));
}

} // namespace

std::vector<std::string> kernel_words(std::string_view text) {
    std::vector<std::string> words;
    bool inside = false;
    bool quoted = false;
    for (const char c : text) {
        if (!quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
            inside = false;
            continue;
        }
        if (!inside)
            words.emplace_back();
        inside = true;
        quoted = quoted != (c == '"');
        words.back() += c;
    }
    return words;
}

WordChanges compare_words(const std::vector<std::string>& before, const std::vector<std::string>& after) {
    WordChanges changes;
    changes.words.resize(before.size());
    if (before.size() == after.size()) {
        std::copy(after.begin(), after.end(), changes.words.begin());
        return changes;
    }
    std::size_t next = 0;
    for (const std::string& word : after) {
        const auto old = std::find(before.begin() + static_cast<std::ptrdiff_t>(next), before.end(), word);
        if (old == before.end()) {
            changes.added.push_back(word);
            continue;
        }
        next = static_cast<std::size_t>(old - before.begin());
        changes.words[next++] = word;
    }
    return changes;
}

void change_kernel_command_lines(PlanBuilder& plan, const CommandLineChange& kernel_change, const std::string& reason) {
    // Behind a "--" everything is for init (the kernel's admin-guide/kernel-parameters), and nobody's business here.
    const CommandLineChange change = [&](std::vector<std::string> words) {
        const auto end = std::find(words.begin(), words.end(), "--");
        const std::vector<std::string> for_init(end, words.end());
        words.erase(end, words.end());
        words = kernel_change(std::move(words));
        words.insert(words.end(), for_init.begin(), for_init.end());
        return words;
    };
    for (const auto& [path, place] : entry_files(plan)) {
        if (place->form == PlaceForm::grub_script)
            change_grub_script(plan, path, change, reason);
        else if (place->form == PlaceForm::lines)
            change_lines(plan, path, place->split, change, reason);
        else
            change_joined_lines(plan, path, place->split, change, reason);
    }
    change_kernel_defaults(plan, change, reason);
    for (const std::string& path : environment_files(plan))
        change_grub_environment(plan, path, change, reason);
    find_lost_options(plan);
    find_other_loaders(plan, change);
}

std::vector<std::vector<std::string>> kernel_command_lines(const PlanBuilder& plan) {
    std::vector<std::vector<std::string>> all;
    for (const auto& [path, place] : entry_files(plan)) {
        const auto text = plan.read_text(path);
        if (!text)
            continue;
        if (place->form == PlaceForm::grub_script) {
            for (const GrubEntry& entry : grub_entries(*text))
                all.push_back(entry_words(*text, entry));
            for (std::vector<std::string>& words : words_of_settings(*text, kOptionSettings))
                all.push_back(std::move(words));
            continue;
        }
        std::vector<std::string> joined;
        for (const std::string_view line : lines_of(*text)) {
            const auto parts = place->split(std::string(line));
            if (parts && place->form == PlaceForm::lines)
                all.push_back(kernel_words(parts->rest));
            else if (parts)
                for (std::string& word : kernel_words(parts->rest))
                    joined.push_back(std::move(word));
        }
        if (!joined.empty())
            all.push_back(std::move(joined));
    }
    for (const std::string& path : environment_files(plan))
        if (const auto text = plan.read_text(path))
            for (const std::string_view line : lines_of(*text))
                if (const auto parts = split_assignment(std::string(line), "kernelopts="))
                    all.push_back(kernel_words(parts->rest));
    return all;
}

} // namespace vm2oci
