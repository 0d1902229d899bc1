#include "libconvert/edit/kernel_command_lines.hpp"

#include "formats/base/escape.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

namespace vm2oci {
namespace {

constexpr std::size_t kGrubEnvironmentSize = 1024; // GRUB writes the block in place and takes no other size

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

using LineChange = std::function<std::optional<Split>(const std::string& line)>;

void change_lines(PlanBuilder& plan, const std::string& path, const LineChange& split, const CommandLineChange& change,
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
        const std::vector<std::string> before = words_of(parts->rest);
        const std::vector<std::string> after = change(before);
        changed = changed || after != before;
        out += after == before ? line + "\n" : fmt::format("{}{}\n", parts->head, fmt::join(after, " "));
    }
    if (changed)
        plan.write(path, out, reason);
}

// GRUB_CMDLINE_LINUX="…" in a file of shell assignments. Only the variable that every entry gets is extended; from
// GRUB_CMDLINE_LINUX_DEFAULT words are only taken away.
void change_defaults(PlanBuilder& plan, const std::string& path, const CommandLineChange& change,
                     const std::string& reason) {
    const auto text = plan.read_text(path);
    if (!text)
        return;
    std::string out;
    bool changed = false;
    bool has_main = false;
    for (const std::string_view view : lines_of(*text)) {
        const std::string line(view);
        const bool main = line.starts_with("GRUB_CMDLINE_LINUX=");
        const bool other = line.starts_with("GRUB_CMDLINE_LINUX_DEFAULT=");
        has_main = has_main || main;
        if (!main && !other) {
            out += line + "\n";
            continue;
        }
        const std::string key = line.substr(0, line.find('='));
        const std::vector<std::string> before = words_of(shell_value(line, key));
        std::vector<std::string> after = change(before);
        if (other)
            std::erase_if(after, [&](const std::string& word) {
                return std::find(before.begin(), before.end(), word) == before.end();
            });
        changed = changed || after != before;
        out += after == before ? line + "\n" : fmt::format("{}=\"{}\"\n", key, fmt::join(after, " "));
    }
    const std::vector<std::string> added = has_main ? std::vector<std::string>() : change({});
    if (!added.empty())
        out += fmt::format("GRUB_CMDLINE_LINUX=\"{}\"\n", fmt::join(added, " "));
    if (changed || !added.empty())
        plan.write(path, out, reason);
}

std::optional<Split> split_assignment(const std::string& line, std::string_view key) {
    if (!line.starts_with(key))
        return std::nullopt;
    return Split{std::string(key), line.substr(key.size())};
}

void change_grub_environment(PlanBuilder& plan, const std::string& path, const CommandLineChange& change,
                             const std::string& reason) {
    const auto text = plan.read_text(path);
    if (!text || text->size() != kGrubEnvironmentSize)
        return;
    std::string body = *text;
    body.erase(body.find_last_not_of('#') + 1);
    if (body.find("\nkernelopts=") == std::string::npos)
        return;
    std::string out;
    for (const std::string_view view : lines_of(body)) {
        const auto parts = split_assignment(std::string(view), "kernelopts=");
        out += parts ? fmt::format("kernelopts={}\n", fmt::join(change(words_of(parts->rest)), " "))
                     : std::string(view) + "\n";
    }
    if (out.size() > kGrubEnvironmentSize)
        return plan.found(escape_untrusted(path) + " has no room for a longer kernel command line");
    out.resize(kGrubEnvironmentSize, '#');
    plan.write(path, out, reason);
}

std::optional<Split> split_grub_entry(const std::string& line) {
    return split_directive(line, {"linux", "linux16", "linuxefi"}, 1);
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

struct Place {
    const char* pattern;
    std::optional<Split> (*split)(const std::string& line);
};

constexpr Place kPlaces[] = {
    {"/boot/grub/grub.cfg", split_grub_entry},
    {"/boot/grub2/grub.cfg", split_grub_entry},
    {"/boot/efi/EFI/*/grub.cfg", split_grub_entry},
    {"/boot/loader/entries/*.conf", split_loader_entry},
    {"/boot/efi/loader/entries/*.conf", split_loader_entry},
    {"/efi/loader/entries/*.conf", split_loader_entry},
    {"/boot/extlinux.conf", split_syslinux_entry},
    {"/boot/extlinux/extlinux.conf", split_syslinux_entry},
    {"/boot/syslinux/syslinux.cfg", split_syslinux_entry},
    {"/boot/grub/menu.lst", split_legacy_entry},
    {"/boot/grub/grub.conf", split_legacy_entry},
    {"/etc/kernel/cmdline", split_whole_line},
};

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

} // namespace

void change_kernel_command_lines(PlanBuilder& plan, const CommandLineChange& change, const std::string& reason) {
    for (const auto& [path, place] : entry_files(plan))
        change_lines(plan, path, place->split, change, reason);
    change_defaults(plan, "/etc/default/grub", change, reason);
    for (const std::string& path : plan.glob("/etc/default/grub.d/*.cfg")) {
        const auto text = plan.read_text(path);
        if (text && text->find("GRUB_CMDLINE_LINUX=") != std::string::npos)
            change_defaults(plan, path, change, reason);
    }
    for (const char* path : {"/boot/grub2/grubenv", "/boot/grub/grubenv"})
        change_grub_environment(plan, path, change, reason);
}

std::vector<std::vector<std::string>> kernel_command_lines(const PlanBuilder& plan) {
    std::vector<std::vector<std::string>> all;
    for (const auto& [path, place] : entry_files(plan))
        if (const auto text = plan.read_text(path))
            for (const std::string_view line : lines_of(*text))
                if (const auto parts = place->split(std::string(line)))
                    all.push_back(words_of(parts->rest));
    for (const char* path : {"/boot/grub2/grubenv", "/boot/grub/grubenv"})
        if (const auto text = plan.read_text(path))
            for (const std::string_view line : lines_of(*text))
                if (const auto parts = split_assignment(std::string(line), "kernelopts="))
                    all.push_back(words_of(parts->rest));
    return all;
}

} // namespace vm2oci
