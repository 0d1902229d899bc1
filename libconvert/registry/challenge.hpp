// WWW-Authenticate, as registries write it (RFC 9110 section 11.6.1; distribution's token specification).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::registry {

enum class AuthScheme { basic, bearer, other };

struct Challenge {
    AuthScheme scheme = AuthScheme::other;
    // Bearer: where tokens are, for which service, and what the refused request would have needed. Raw bytes.
    std::string realm;
    std::string service;
    std::string scope;
    std::string error; // "invalid_token", "insufficient_scope"
};

// All challenges of one header, in order. Never throws: what cannot be read ends the list.
std::vector<Challenge> parse_challenges(std::string_view header);

} // namespace vm2oci::registry
