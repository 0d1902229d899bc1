// Proves to one registry who we are: basic credentials or bearer tokens, learnt from its challenges.
//
// Credentials go to the registry itself and to the token server that it names, nowhere else.
#pragma once

#include "libconvert/registry/challenge.hpp"
#include "libconvert/registry/credentials.hpp"
#include "libconvert/registry/retry.hpp"
#include "libconvert/registry/token.hpp"
#include "libconvert/registry/url.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace vm2oci::registry {

// "repository:NAME:pull,push", several separated by a space (the distribution's token scopes).
using Scope = std::string;

struct RegistryIdentity {
    std::string name;       // the key of login files: HOST[:PORT]
    std::string repository; // login files may tell repositories apart
    Url base;
};

// Thread-safe; one thread asks for a token, the others wait for it.
class Authenticator {
  public:
    // Nothing is owned.
    Authenticator(RegistryIdentity identity, PatientTransport& transport, const CredentialSource& credentials);

    // The value of the Authorization header for a request to the registry; nullopt: none (not challenged yet, or
    // nothing to show). Error{external} if the token server refuses; Error{unsafe} if credentials would travel in the
    // clear to another server.
    std::optional<std::string> authorization(const Scope& scope);

    // Takes notice of a 401. `used` is what authorization() had returned. True: another attempt may succeed.
    bool learn(const HttpResponse& refusal, const Scope& scope, const std::optional<std::string>& used);

    // Why no login is known, if login files or helpers were in the way: many things need none. "" otherwise.
    std::string login_trouble() const;

  private:
    const std::optional<Credentials>& credentials();
    std::optional<std::string> basic_authorization();
    Token fetch_token(const Scope& scope);
    HttpResponse ask_token_server(const Url& realm, const Scope& scope);

    const RegistryIdentity identity_;
    PatientTransport& transport_;
    const CredentialSource& credential_source_;
    TokenCache tokens_;

    mutable std::mutex mutex_; // guards all below
    std::optional<Challenge> challenge_;
    std::map<Scope, Scope> widened_scopes_; // what the registry wanted beyond what we thought
    bool credentials_loaded_ = false;
    std::optional<Credentials> credentials_;
    std::string login_trouble_;
};

} // namespace vm2oci::registry
