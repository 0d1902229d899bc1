#include "libconvert/registry/credentials.hpp"

#include "formats/base/base64.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/reference.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace vm2oci::registry {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string text_member(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// "https://host/v1/" (docker's oldest form) -> "host"; "host/name" stays.
std::string normalise_key(std::string_view key) {
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (!key.starts_with(scheme))
            continue;
        key.remove_prefix(scheme.size());
        return std::string(key.substr(0, key.find('/')));
    }
    while (key.ends_with('/'))
        key.remove_suffix(1);
    return std::string(key);
}

std::optional<Credentials> parse_entry(const json& entry) {
    if (!entry.is_object())
        return std::nullopt;
    Credentials credentials;
    credentials.identity_token = text_member(entry, "identitytoken");
    if (const std::string auth = text_member(entry, "auth"); !auth.empty()) {
        const std::string decoded = decode_base64(auth).value_or("");
        const std::size_t colon = decoded.find(':');
        if (colon == std::string::npos)
            return std::nullopt;
        credentials.username = decoded.substr(0, colon);
        credentials.password = decoded.substr(colon + 1);
        // Docker pads with NUL when it encodes.
        credentials.password.erase(credentials.password.find_last_not_of('\0') + 1);
    } else {
        credentials.username = text_member(entry, "username");
        credentials.password = text_member(entry, "password");
    }
    if (credentials.username.empty() && credentials.identity_token.empty())
        return std::nullopt;
    return credentials;
}

fs::path environment_path(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? fs::path() : fs::path(value);
}

// Docker's hub answers under other names than the one that people write.
constexpr std::string_view kHubKey = "index.docker.io";
constexpr std::string_view kHubAddress = "https://index.docker.io/v1/";

std::optional<Credentials> find_in(const AuthFile& file, std::string_view registry, std::string_view repository) {
    const std::string host(registry);
    // Docker writes the hub's helper under the address that it asks it for, podman under the name that people write.
    if (const auto helper = file.helpers.find(host); helper != file.helpers.end())
        return ask_credential_helper(helper->second, host);
    if (const auto helper = file.helpers.find(std::string(kHubKey));
        registry == kDockerHub && helper != file.helpers.end())
        return ask_credential_helper(helper->second, std::string(kHubAddress));
    std::vector<std::string> keys = credential_keys(registry, repository);
    if (registry == kDockerHub)
        keys.emplace_back(kHubKey);
    for (const std::string& key : keys)
        if (const auto found = file.entries.find(key); found != file.entries.end())
            return found->second;
    if (!file.default_helper.empty())
        return ask_credential_helper(file.default_helper, registry == kDockerHub ? std::string(kHubAddress) : host);
    return std::nullopt;
}

} // namespace

AuthFile parse_auth_file(std::string_view text) {
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
        return {}; // a logout, or a disk that was full
    const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!document.is_object())
        fail(ErrorKind::corrupt, "it is not a JSON object; log in again with `podman login` or `docker login`");
    AuthFile file;
    // ~/.dockercfg is the "auths" object alone.
    const bool is_modern = document.contains("auths") || document.contains("credHelpers") ||
                           document.contains("credsStore") || document.empty();
    const json& auths = is_modern ? document.value("auths", json::object()) : document;
    if (auths.is_object())
        for (const auto& [key, entry] : auths.items())
            if (std::optional<Credentials> credentials = parse_entry(entry))
                file.entries.emplace(normalise_key(key), std::move(*credentials));
    if (const auto helpers = document.find("credHelpers"); helpers != document.end() && helpers->is_object())
        for (const auto& [key, name] : helpers->items())
            if (name.is_string())
                file.helpers.emplace(normalise_key(key), name.get<std::string>());
    file.default_helper = text_member(document, "credsStore");
    return file;
}

std::vector<std::string> credential_keys(std::string_view registry, std::string_view repository) {
    std::string key(registry);
    if (!repository.empty())
        key += "/" + std::string(repository);
    std::vector<std::string> keys;
    while (true) {
        keys.push_back(key);
        const std::size_t slash = key.rfind('/');
        if (slash == std::string::npos)
            return keys;
        key.resize(slash);
    }
}

std::vector<fs::path> auth_file_paths(const fs::path& chosen) {
    if (!chosen.empty())
        return {chosen};
    if (const fs::path named = environment_path("REGISTRY_AUTH_FILE"); !named.empty())
        return {named};
    const fs::path home = environment_path("HOME");
    std::vector<fs::path> paths;
    if (const fs::path runtime = environment_path("XDG_RUNTIME_DIR"); !runtime.empty())
        paths.push_back(runtime / "containers/auth.json");
    else
        paths.push_back(fs::path("/run/containers") / std::to_string(::getuid()) / "auth.json");
    if (const fs::path config = environment_path("XDG_CONFIG_HOME"); !config.empty())
        paths.push_back(config / "containers/auth.json");
    else if (!home.empty())
        paths.push_back(home / ".config/containers/auth.json");
    if (const fs::path docker = environment_path("DOCKER_CONFIG"); !docker.empty())
        paths.push_back(docker / "config.json");
    else if (!home.empty())
        paths.push_back(home / ".docker/config.json");
    if (!home.empty())
        paths.push_back(home / ".dockercfg");
    return paths;
}

std::optional<Credentials> StoredCredentials::find(std::string_view registry, std::string_view repository) const {
    std::string troubles;
    for (const fs::path& path : auth_file_paths(chosen_)) {
        try {
            const std::optional<std::string> text = read_file(path, kMaxAuthFileBytes);
            if (!text && !chosen_.empty())
                fail(ErrorKind::not_found, "no such login file: " + path.string());
            if (!text)
                continue;
            auto found = with_context("login file " + path.string(),
                                      [&] { return find_in(parse_auth_file(*text), registry, repository); });
            if (found)
                return found;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled)
                throw;
            troubles += (troubles.empty() ? "" : "; ") + std::string(error.what());
        }
    }
    if (!troubles.empty())
        fail(ErrorKind::external, troubles);
    return std::nullopt;
}

Credentials parse_helper_answer(std::string_view text) {
    const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!document.is_object())
        fail(ErrorKind::external, "the credential helper's answer is not JSON");
    Credentials credentials;
    credentials.username = text_member(document, "Username");
    credentials.password = text_member(document, "Secret");
    if (credentials.username == "<token>") {
        credentials.identity_token = std::move(credentials.password);
        credentials.username.clear();
        credentials.password.clear();
    }
    return credentials;
}

} // namespace vm2oci::registry
