#include "libconvert/registry/registries_conf.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

namespace vm2oci::registry {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void refuse(const toml::node& node, std::string_view key, std::string_view wanted) {
    fail(ErrorKind::usage,
         fmt::format("line {}: {} must be {}", node.source().begin.line, escape_untrusted(key), wanted));
}

// The value of a key, which must be of that type; the type's default where the key is not there.
template <class Value>
Value value_of(const toml::table& table, std::string_view key, std::string_view wanted) {
    const toml::node* node = table.get(key);
    if (node == nullptr)
        return {};
    if (std::optional<Value> value = node->value_exact<Value>())
        return std::move(*value);
    refuse(*node, key, wanted);
}

std::string text_of(const toml::table& table, std::string_view key) {
    return value_of<std::string>(table, key, "a string");
}

bool flag_of(const toml::table& table, std::string_view key) {
    return value_of<bool>(table, key, "true or false");
}

// Each table of an array of tables ("[[registry]]").
template <class Visit>
void for_each_table(const toml::table& parent, std::string_view key, Visit visit) {
    const toml::node* node = parent.get(key);
    if (node == nullptr)
        return;
    const toml::array* tables = node->as_array();
    if (tables == nullptr)
        refuse(*node, key, "an array of tables");
    for (const toml::node& item : *tables) {
        if (!item.is_table())
            refuse(item, key, "an array of tables");
        visit(*item.as_table());
    }
}

MirrorEntry read_mirror(const toml::table& table) {
    MirrorEntry mirror;
    mirror.location = text_of(table, "location");
    mirror.insecure = flag_of(table, "insecure");
    const std::string use = text_of(table, "pull-from-mirror");
    mirror.use = use == "digest-only" ? MirrorEntry::Use::digest_only
                 : use == "tag-only"  ? MirrorEntry::Use::tag_only
                                      : MirrorEntry::Use::all;
    return mirror;
}

RegistryEntry read_registry(const toml::table& table) {
    RegistryEntry entry;
    entry.prefix = text_of(table, "prefix");
    entry.location = text_of(table, "location");
    entry.insecure = flag_of(table, "insecure");
    entry.blocked = flag_of(table, "blocked");
    for_each_table(table, "mirror", [&](const toml::table& mirror) { entry.mirrors.push_back(read_mirror(mirror)); });
    return entry;
}

// The first format: "[registries.insecure] registries = […]", and "block".
void read_first_format(const toml::table& document, std::vector<RegistryEntry>& entries) {
    for (const bool blocked : {false, true}) {
        const toml::array* names =
            document.at_path(blocked ? "registries.block.registries" : "registries.insecure.registries").as_array();
        if (names == nullptr)
            continue;
        for (const toml::node& name : *names) {
            RegistryEntry entry;
            const std::optional<std::string> location = name.value_exact<std::string>();
            if (!location)
                refuse(name, "registries", "an array of strings");
            entry.location = *location;
            entry.insecure = !blocked;
            entry.blocked = blocked;
            entries.push_back(std::move(entry));
        }
    }
}

// What of "registry/repository" an entry stands for.
struct Match {
    std::size_t length = 0;      // 0: nothing
    std::size_t specificity = 0; // of several entries the one that says most is meant
};

Match match_of(const RegistryEntry& entry, std::string_view name) {
    std::string_view prefix = entry.prefix.empty() ? entry.location : entry.prefix;
    const std::size_t length = prefix.size();
    if (prefix.starts_with("*.")) {
        prefix.remove_prefix(1);
        const std::string_view host = name.substr(0, name.find('/'));
        if (!host.substr(0, host.find(':')).ends_with(prefix) && !host.ends_with(prefix))
            return {};
        return {host.size(), prefix.size()}; // less than the name of one host in its place
    }
    if (prefix.empty() || !name.starts_with(prefix))
        return {};
    const bool ends_at_a_part = name.size() == length || name[length] == '/';
    return ends_at_a_part ? Match{length, length} : Match{};
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
    toml::table document;
    try {
        document = toml::parse(text);
    } catch (const toml::parse_error& error) {
        fail(ErrorKind::usage,
             fmt::format("line {}: {}", error.source().begin.line, escape_untrusted(std::string(error.description()))));
    }
    std::vector<RegistryEntry> entries;
    read_first_format(document, entries);
    for_each_table(document, "registry", [&](const toml::table& table) { entries.push_back(read_registry(table)); });
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
    Match best_match;
    for (const RegistryEntry& entry : entries) {
        const Match match = match_of(entry, name);
        // Of equal ones the later file wins.
        if (match.length > 0 && match.specificity >= best_match.specificity) {
            best = &entry;
            best_match = match;
        }
    }
    if (best == nullptr)
        return {{registry, repository, false}};
    if (best->blocked)
        fail(ErrorKind::usage, "registries.conf blocks " + name);
    const std::string_view rest = std::string_view(name).substr(best_match.length);
    std::vector<Endpoint> endpoints;
    if (mirrors == Mirrors::use)
        for (const MirrorEntry& mirror : best->mirrors) {
            const bool fits = mirror.use == MirrorEntry::Use::all ||
                              (mirror.use == MirrorEntry::Use::digest_only) == (by == ReferenceBy::digest);
            if (fits && !mirror.location.empty())
                endpoints.push_back(make_endpoint(mirror.location, rest, mirror.insecure));
        }
    const std::string location = best->location.empty() ? name.substr(0, best_match.length) : best->location;
    endpoints.push_back(make_endpoint(location, rest, best->insecure));
    return endpoints;
}

} // namespace vm2oci::registry
