// registries.conf(5): where a registry really is, whether it is spoken to insecurely, its mirrors.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::registry {

struct MirrorEntry {
    std::string location; // HOST[:PORT][/PATH]
    bool insecure = false;
    enum class Use { all, digest_only, tag_only } use = Use::all;
};

struct RegistryEntry {
    std::string prefix;   // what references begin with; may begin with "*."
    std::string location; // what takes the prefix's place; empty: the prefix itself
    bool insecure = false;
    bool blocked = false;
    std::vector<MirrorEntry> mirrors;
};

inline constexpr std::size_t kMaxRegistriesConfBytes = 1024ull * 1024;

// Reads the [[registry]] tables of the second format, and the lists of insecure and blocked registries of the first;
// everything else is passed over. Error{usage} names the line.
std::vector<RegistryEntry> parse_registries_conf(std::string_view text);

// $CONTAINERS_REGISTRIES_CONF alone, else ~/.config/containers/registries.conf or /etc/containers/registries.conf,
// and what lies in the folder of the same name with .d behind.
std::vector<RegistryEntry> load_registries_conf();

// A place to try: host, repository, how.
struct Endpoint {
    std::string registry; // HOST[:PORT]
    std::string repository;
    bool insecure = false;
};

enum class ReferenceBy { tag, digest };

// For reading: the mirrors in order, then the registry. For writing (`use_mirrors` no): the registry alone.
// Error{usage} if the configuration blocks it.
enum class Mirrors { use, skip };
std::vector<Endpoint> endpoints_for(const std::vector<RegistryEntry>& entries, const std::string& registry,
                                    const std::string& repository, ReferenceBy by, Mirrors mirrors);

} // namespace vm2oci::registry
