// Bearer tokens: the answer of a token server, and what is kept of it.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace vm2oci::registry {

struct Token {
    std::string value;               // goes into a header: printable ASCII only
    std::chrono::seconds lifetime{}; // from the moment of the answer
};

inline constexpr std::chrono::seconds kDefaultTokenLifetime{60}; // where the answer says nothing (token spec)

// {"token"|"access_token": …, "expires_in": …}. Error{external}, which never quotes the text.
Token parse_token_answer(std::string_view text);

// Tokens by scope. Thread-safe.
class TokenCache {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;

    void store(const std::string& scope, const Token& token, TimePoint now);
    // nullopt when there is none, or it ends within the next seconds.
    std::optional<std::string> find(const std::string& scope, TimePoint now) const;
    // Drops the token of `scope` if it is still `value`: the registry refused it.
    void forget(const std::string& scope, std::string_view value);

  private:
    struct Kept {
        std::string value;
        TimePoint use_until;
    };
    mutable std::mutex mutex_;
    std::map<std::string, Kept> tokens_;
};

} // namespace vm2oci::registry
