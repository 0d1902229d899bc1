#include "libconvert/registry/client.hpp"

#include "libconvert/registry/answer.hpp"

#include <fmt/format.h>

namespace vm2oci::registry {
namespace {

// No token, an expired one, and one that was valid for the time it took to get here.
constexpr unsigned kMaxRefusals = 3;

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool may_follow(const HttpRequest& request, int status) {
    return request.method == HttpMethod::get || request.method == HttpMethod::head || status == 307 || status == 308;
}

} // namespace

RegistryClient::RegistryClient(RegistryIdentity identity, Parts parts)
    : identity_(std::move(identity)), parts_(std::move(parts)), patient_(*parts_.transport, *parts_.clock),
      authenticator_(identity_, patient_, *parts_.credentials) {}

Url RegistryClient::url(std::string_view rest) const {
    Url result = identity_.base;
    result.path_and_query = fmt::format("/v2/{}/{}", identity_.repository, rest);
    return result;
}

Scope RegistryClient::scope_of(const Call& call) const {
    Scope scope =
        fmt::format("repository:{}:{}", identity_.repository, call.access == Access::push ? "pull,push" : "pull");
    if (!call.other_repository.empty())
        scope += fmt::format(" repository:{}:pull", call.other_repository);
    return scope;
}

HttpResponse RegistryClient::perform(const Call& call) {
    return call.repeat == Repeat::freely ? patient_.repeatedly(call.request) : patient_.once(call.request);
}

HttpResponse RegistryClient::perform_authorised(const Call& call) {
    const Scope scope = scope_of(call);
    for (unsigned refusals = 0;; ++refusals) {
        const std::optional<std::string> authorization = authenticator_.authorization(scope);
        Call attempt = call;
        if (authorization)
            attempt.request.headers.add("Authorization", *authorization);
        HttpResponse response = perform(attempt);
        if (response.status == 401 && refusals < kMaxRefusals && authenticator_.learn(response, scope, authorization))
            continue;
        // A HEAD has no words for why it is refused; what follows it has.
        if ((response.status == 401 || response.status == 403) && call.request.method != HttpMethod::head)
            if (const std::string trouble = authenticator_.login_trouble(); !trouble.empty())
                with_context("no login could be read: " + trouble, [&] { fail_answer(host(), response); });
        return response;
    }
}

Answer RegistryClient::call(Call call) {
    for (unsigned redirects = 0;; ++redirects) {
        const Url here = call.request.url;
        HttpResponse response = here.same_origin(identity_.base) ? perform_authorised(call) : perform(call);
        const std::optional<std::string> location = response.headers.find("Location");
        if (!is_redirect(response.status) || !location || !may_follow(call.request, response.status))
            return {std::move(response), here};
        if (redirects == kMaxRedirects)
            fail(ErrorKind::external, fmt::format("{} redirects without end", host()));
        const Url next = resolve_url(here, *location);
        if (here.scheme == "https" && next.scheme == "http")
            fail(ErrorKind::unsafe, fmt::format("{} redirects to plain HTTP at {}, which is not followed",
                                                here.host_and_port(), next.host_and_port()));
        call.request.url = next;
    }
}

void RegistryClient::ping() {
    HttpRequest request;
    request.url = identity_.base;
    request.url.path_and_query = "/v2/";
    const HttpResponse response = patient_.repeatedly(request);
    if (response.status == 401) {
        authenticator_.learn(response, scope_of({}), std::nullopt);
        return;
    }
    // 403: some registries answer that to who is not logged in, and serve public repositories all the same.
    if (response.status != 200 && response.status != 403)
        with_context("is this a registry?", [&] { fail_answer(host(), response); });
}

} // namespace vm2oci::registry
