// Who we are to a registry: the login state that docker, podman, buildah and skopeo keep.
//
// Read from the first that knows the registry: the file that the caller names, $REGISTRY_AUTH_FILE,
// $XDG_RUNTIME_DIR/containers/auth.json (or /run/containers/UID), ~/.config/containers/auth.json,
// ~/.docker/config.json ($DOCKER_CONFIG), ~/.dockercfg. Formats: containers-auth.json(5), docker's config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::registry {

// Never printed. An identity token takes the place of user name and password (OAuth2 refresh token).
struct Credentials {
    std::string username;
    std::string password;
    std::string identity_token;
};

// One file, as data. Keys are as in the file, without scheme and trailing path of docker's old keys.
struct AuthFile {
    std::map<std::string, Credentials> entries;
    std::map<std::string, std::string> helpers; // registry -> name of docker-credential-NAME
    std::string default_helper;                 // docker's credsStore
};

inline constexpr std::size_t kMaxAuthFileBytes = 1024ull * 1024;

// Error{corrupt}, which never quotes the text.
AuthFile parse_auth_file(std::string_view text);

// "host/a/b" -> "host/a/b", "host/a", "host": the keys that may hold the login for a repository, most exact first.
std::vector<std::string> credential_keys(std::string_view registry, std::string_view repository);

// The files that exist and are read, in order. `chosen` not empty: only that one, which must exist.
std::vector<std::filesystem::path> auth_file_paths(const std::filesystem::path& chosen);

class CredentialSource {
  public:
    virtual ~CredentialSource() = default;
    virtual std::optional<Credentials> find(std::string_view registry, std::string_view repository) const = 0;
};

// Reads the files at each call (a login made meanwhile counts) and asks credential helpers. Thread-safe.
class StoredCredentials final : public CredentialSource {
  public:
    explicit StoredCredentials(std::filesystem::path chosen) : chosen_(std::move(chosen)) {}
    // A file that cannot be read and a helper that fails are passed over. Error{external} names them all if no other
    // file knows the registry.
    std::optional<Credentials> find(std::string_view registry, std::string_view repository) const override;

  private:
    std::filesystem::path chosen_;
};

// Runs docker-credential-NAME get; the server goes in by standard input, the secret comes by standard output.
// nullopt: the helper does not know it. Error{external}.
std::optional<Credentials> ask_credential_helper(const std::string& name, const std::string& server);

// What a helper printed. Error{external}, which never quotes the text.
Credentials parse_helper_answer(std::string_view text);

} // namespace vm2oci::registry
