#include "libconvert/registry/token.hpp"

#include "formats/base/error.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace vm2oci::registry {
namespace {

constexpr std::chrono::seconds kSafetyMargin{5};     // a request that is on its way when the token ends
constexpr std::chrono::hours kLongestLifetime{24};   // whatever a server claims
constexpr std::size_t kMaxTokenBytes = 48ull * 1024; // servers bound their headers at 8 to 64 KiB

} // namespace

Token parse_token_answer(std::string_view text) {
    const nlohmann::json document = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!document.is_object())
        fail(ErrorKind::external, "the token server's answer is not a JSON object");
    Token token;
    for (const char* name : {"token", "access_token"}) {
        const auto found = document.find(name);
        if (token.value.empty() && found != document.end() && found->is_string())
            token.value = found->get<std::string>();
    }
    if (token.value.empty())
        fail(ErrorKind::external, "the token server's answer holds no token");
    if (token.value.size() > kMaxTokenBytes ||
        !std::ranges::all_of(token.value, [](char c) { return c > 0x20 && c < 0x7F; }))
        fail(ErrorKind::external, "the token server's answer holds a token that cannot be sent");
    token.lifetime = kDefaultTokenLifetime;
    const auto expires = document.find("expires_in");
    if (expires != document.end() && expires->is_number()) {
        const double stated = expires->get<double>();
        const double longest = static_cast<double>(std::chrono::seconds(kLongestLifetime).count());
        if (stated > 0)
            token.lifetime = std::chrono::seconds(static_cast<std::int64_t>(std::min(stated, longest)));
    }
    return token;
}

void TokenCache::store(const std::string& scope, const Token& token, TimePoint now) {
    const std::lock_guard lock(mutex_);
    tokens_[scope] = {token.value, now + std::max(token.lifetime - kSafetyMargin, token.lifetime / 2)};
}

std::optional<std::string> TokenCache::find(const std::string& scope, TimePoint now) const {
    const std::lock_guard lock(mutex_);
    const auto found = tokens_.find(scope);
    if (found == tokens_.end() || now >= found->second.use_until)
        return std::nullopt;
    return found->second.value;
}

void TokenCache::forget(const std::string& scope, std::string_view value) {
    const std::lock_guard lock(mutex_);
    const auto found = tokens_.find(scope);
    if (found != tokens_.end() && found->second.value == value)
        tokens_.erase(found);
}

} // namespace vm2oci::registry
