#include "libconvert/registry/registries_conf.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

namespace vm2oci::registry {
namespace fs = std::filesystem;
namespace {

std::string_view trim(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos)
        return {};
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Without a comment; a '#' inside a string stays.
std::string_view without_comment(std::string_view line) {
    char quote = '\0';
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quote != '\0') {
            if (c == '\\' && quote == '"')
                ++i;
            else if (c == quote)
                quote = '\0';
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '#') {
            return line.substr(0, i);
        }
    }
    return line;
}

std::optional<std::string> string_value(std::string_view text) {
    if (text.size() < 2 || (text.front() != '"' && text.front() != '\'') || text.back() != text.front())
        return std::nullopt;
    const std::string_view inside = text.substr(1, text.size() - 2);
    // Host names need no escapes.
    return inside.find('\\') == std::string_view::npos ? std::optional<std::string>(inside) : std::nullopt;
}

std::optional<bool> bool_value(std::string_view text) {
    if (text == "true")
        return true;
    if (text == "false")
        return false;
    return std::nullopt;
}

struct Line {
    std::size_t number;
    std::string_view key;
    std::string_view value;

    std::string text() const {
        if (std::optional<std::string> result = string_value(value))
            return *result;
        refuse("a string");
    }
    bool flag() const {
        if (const std::optional<bool> result = bool_value(value))
            return *result;
        refuse("true or false");
    }
    [[noreturn]] void refuse(std::string_view wanted) const {
        fail(ErrorKind::usage, fmt::format("line {}: {} must be {}, and it is {}", number, escape_untrusted(key),
                                           wanted, escape_untrusted(value)));
    }
};

void assign(RegistryEntry& entry, const Line& line) {
    if (line.key == "prefix")
        entry.prefix = line.text();
    else if (line.key == "location")
        entry.location = line.text();
    else if (line.key == "insecure")
        entry.insecure = line.flag();
    else if (line.key == "blocked")
        entry.blocked = line.flag();
}

void assign(MirrorEntry& mirror, const Line& line) {
    if (line.key == "location")
        mirror.location = line.text();
    else if (line.key == "insecure")
        mirror.insecure = line.flag();
    else if (line.key == "pull-from-mirror")
        mirror.use = line.text() == "digest-only" ? MirrorEntry::Use::digest_only
                     : line.text() == "tag-only"  ? MirrorEntry::Use::tag_only
                                                  : MirrorEntry::Use::all;
}

// The length of what `entry` matches of "registry/repository"; 0: it does not.
std::size_t matched_length(const RegistryEntry& entry, std::string_view name) {
    std::string_view prefix = entry.prefix.empty() ? entry.location : entry.prefix;
    std::size_t length = prefix.size();
    if (prefix.starts_with("*.")) {
        prefix.remove_prefix(1);
        const std::string_view host = name.substr(0, name.find('/'));
        if (!host.substr(0, host.find(':')).ends_with(prefix) && !host.ends_with(prefix))
            return 0;
        return host.size();
    }
    if (prefix.empty() || !name.starts_with(prefix))
        return 0;
    const bool ends_at_a_part = name.size() == length || name[length] == '/';
    return ends_at_a_part ? length : 0;
}

Endpoint make_endpoint(const std::string& location, std::string_view rest, bool insecure) {
    const std::string whole = location + std::string(rest);
    const std::size_t slash = whole.find('/');
    if (slash == std::string::npos)
        fail(ErrorKind::usage, "registries.conf: " + quote_untrusted(location) + " leaves no repository");
    return {whole.substr(0, slash), whole.substr(slash + 1), insecure};
}

fs::path home_configuration() {
    if (const char* config = std::getenv("XDG_CONFIG_HOME"); config != nullptr && *config != '\0')
        return fs::path(config) / "containers/registries.conf";
    if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
        return fs::path(home) / ".config/containers/registries.conf";
    return {};
}

void append_file(std::vector<RegistryEntry>& entries, const fs::path& path) {
    const std::optional<std::string> text = read_file(path, kMaxRegistriesConfBytes);
    if (!text)
        return;
    for (RegistryEntry& entry : with_context("reading " + path.string(), [&] { return parse_registries_conf(*text); }))
        entries.push_back(std::move(entry));
}

} // namespace

std::vector<RegistryEntry> parse_registries_conf(std::string_view text) {
    std::vector<RegistryEntry> entries;
    enum class Table { other, registry, mirror } table = Table::other;
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trim(without_comment(text.substr(0, end)));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.starts_with('[')) {
            table = Table::other;
            if (line == "[[registry]]") {
                table = Table::registry;
                entries.emplace_back();
            } else if (line == "[[registry.mirror]]" && !entries.empty()) {
                table = Table::mirror;
                entries.back().mirrors.emplace_back();
            }
            continue;
        }
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos || table == Table::other)
            continue;
        const Line assignment{number, trim(line.substr(0, equals)), trim(line.substr(equals + 1))};
        if (table == Table::registry)
            assign(entries.back(), assignment);
        else
            assign(entries.back().mirrors.back(), assignment);
    }
    return entries;
}

std::vector<RegistryEntry> load_registries_conf() {
    std::vector<RegistryEntry> entries;
    if (const char* chosen = std::getenv("CONTAINERS_REGISTRIES_CONF"); chosen != nullptr && *chosen != '\0') {
        append_file(entries, chosen);
        return entries;
    }
    fs::path main = home_configuration();
    std::error_code ignored;
    if (main.empty() || !fs::exists(main, ignored))
        main = "/etc/containers/registries.conf";
    append_file(entries, main);
    const fs::path folder = main.string() + ".d";
    if (!fs::is_directory(folder, ignored))
        return entries;
    std::vector<fs::path> files;
    for (const fs::directory_entry& file : fs::directory_iterator(folder))
        if (file.path().extension() == ".conf")
            files.push_back(file.path());
    std::ranges::sort(files);
    for (const fs::path& file : files)
        append_file(entries, file);
    return entries;
}

std::vector<Endpoint> endpoints_for(const std::vector<RegistryEntry>& entries, const std::string& registry,
                                    const std::string& repository, ReferenceBy by, Mirrors mirrors) {
    const std::string name = registry + "/" + repository;
    const RegistryEntry* best = nullptr;
    std::size_t best_length = 0;
    for (const RegistryEntry& entry : entries) {
        const std::size_t length = matched_length(entry, name);
        // Of equal ones the later file wins.
        if (length > 0 && length >= best_length) {
            best = &entry;
            best_length = length;
        }
    }
    if (best == nullptr)
        return {{registry, repository, false}};
    if (best->blocked)
        fail(ErrorKind::usage, "registries.conf blocks " + name);
    const std::string_view rest = std::string_view(name).substr(best_length);
    std::vector<Endpoint> endpoints;
    if (mirrors == Mirrors::use)
        for (const MirrorEntry& mirror : best->mirrors) {
            const bool fits = mirror.use == MirrorEntry::Use::all ||
                              (mirror.use == MirrorEntry::Use::digest_only) == (by == ReferenceBy::digest);
            if (fits && !mirror.location.empty())
                endpoints.push_back(make_endpoint(mirror.location, rest, mirror.insecure));
        }
    const std::string location =
        best->location.empty() || best->prefix.starts_with("*.") ? name.substr(0, best_length) : best->location;
    endpoints.push_back(make_endpoint(location, rest, best->insecure));
    return endpoints;
}

} // namespace vm2oci::registry
