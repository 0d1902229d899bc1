#include "libconvert/registry/authenticator.hpp"

#include "formats/base/base64.hpp"
#include "formats/base/fd.hpp"
#include "libconvert/registry/answer.hpp"

#include <fmt/format.h>

#include <set>
#include <sstream>

namespace vm2oci::registry {
namespace {

constexpr std::size_t kTokenAnswerLimit = 1 * MiB;

std::set<std::string> split_scopes(const Scope& scope) {
    std::set<std::string> parts;
    std::istringstream words(scope);
    for (std::string word; words >> word;)
        parts.insert(word);
    return parts;
}

std::string form_encode(const std::vector<std::pair<std::string, std::string>>& fields) {
    std::string form;
    for (const auto& [name, value] : fields)
        form += (form.empty() ? "" : "&") + percent_encode(name) + "=" + percent_encode(value);
    return form;
}

} // namespace

Authenticator::Authenticator(RegistryIdentity identity, PatientTransport& transport,
                             const CredentialSource& credentials)
    : identity_(std::move(identity)), transport_(transport), credential_source_(credentials) {}

const std::optional<Credentials>& Authenticator::credentials() {
    if (!credentials_loaded_) {
        try {
            credentials_ = credential_source_.find(identity_.name, identity_.repository);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled)
                throw;
            login_trouble_ = error.what();
        }
        credentials_loaded_ = true;
    }
    return credentials_;
}

std::string Authenticator::login_trouble() const {
    const std::lock_guard lock(mutex_);
    return login_trouble_;
}

std::optional<std::string> Authenticator::basic_authorization() {
    const std::optional<Credentials>& known = credentials();
    if (!known || known->username.empty())
        return std::nullopt;
    return "Basic " + encode_base64(known->username + ":" + known->password);
}

std::optional<std::string> Authenticator::authorization(const Scope& scope) {
    const std::lock_guard lock(mutex_);
    if (!challenge_)
        return std::nullopt;
    if (challenge_->scheme == AuthScheme::basic)
        return basic_authorization();
    if (std::optional<std::string> kept = tokens_.find(scope, transport_.clock().now()))
        return "Bearer " + *kept;
    const Token token = fetch_token(scope);
    tokens_.store(scope, token, transport_.clock().now());
    return "Bearer " + token.value;
}

bool Authenticator::learn(const HttpResponse& refusal, const Scope& scope, const std::optional<std::string>& used) {
    std::optional<Challenge> basic;
    std::optional<Challenge> bearer;
    for (const std::string& header : refusal.headers.find_all("WWW-Authenticate"))
        for (Challenge& challenge : parse_challenges(header)) {
            std::optional<Challenge>& slot = challenge.scheme == AuthScheme::bearer ? bearer : basic;
            if (challenge.scheme != AuthScheme::other && !slot)
                slot = std::move(challenge);
        }
    const std::lock_guard lock(mutex_);
    if (bearer && !bearer->realm.empty()) {
        if (used && used->starts_with("Bearer "))
            tokens_.forget(scope, std::string_view(*used).substr(7));
        std::set<std::string> wanted = split_scopes(scope);
        wanted.merge(split_scopes(bearer->scope));
        Scope& widened = widened_scopes_[scope];
        widened.clear();
        for (const std::string& part : wanted)
            widened += (widened.empty() ? "" : " ") + part;
        challenge_ = std::move(bearer);
        return true;
    }
    if (!basic)
        return false;
    challenge_ = std::move(basic);
    return !used && basic_authorization().has_value();
}

HttpResponse Authenticator::ask_token_server(const Url& realm, const Scope& scope) {
    const std::optional<Credentials>& known = credentials();
    HttpRequest request;
    request.body_limit = kTokenAnswerLimit;
    request.headers.add("Accept", "application/json");
    if (known && !known->identity_token.empty()) {
        const std::string form = form_encode({{"grant_type", "refresh_token"},
                                              {"service", challenge_->service},
                                              {"scope", scope},
                                              {"client_id", "vm2oci"},
                                              {"refresh_token", known->identity_token}});
        const BytesBody body(as_bytes(form));
        request.method = HttpMethod::post;
        request.url = realm;
        request.headers.add("Content-Type", "application/x-www-form-urlencoded");
        request.body = &body;
        return transport_.repeatedly(request);
    }
    request.url = realm;
    if (!challenge_->service.empty())
        request.url = with_query(request.url, "service", challenge_->service);
    for (const std::string& part : split_scopes(scope))
        request.url = with_query(request.url, "scope", part);
    if (const std::optional<std::string> basic = basic_authorization()) {
        request.url = with_query(request.url, "account", known->username);
        request.headers.add("Authorization", *basic);
    }
    return transport_.repeatedly(request);
}

Token Authenticator::fetch_token(const Scope& scope) {
    const Url realm = with_context("token server of " + identity_.name, [&] { return parse_url(challenge_->realm); });
    return with_context("asking " + realm.host_and_port() + " for a token", [&] {
        if (realm.scheme == "http" && identity_.base.scheme == "https" && credentials())
            fail(ErrorKind::unsafe, "the registry wants the login sent in plain HTTP, which is not done");
        const auto widened = widened_scopes_.find(scope);
        const HttpResponse response =
            ask_token_server(realm, widened != widened_scopes_.end() ? widened->second : scope);
        if (response.status != 200 && !login_trouble_.empty())
            with_context("no login could be read: " + login_trouble_,
                         [&] { fail_answer(realm.host_and_port(), response); });
        if (response.status != 200)
            fail_answer(realm.host_and_port(), response);
        return parse_token_answer(response.body);
    });
}

} // namespace vm2oci::registry
