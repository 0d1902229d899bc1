#include "libconvert/registry/open_registry.hpp"

#include "libconvert/registry/curl_transport.hpp"
#include "libconvert/registry/manifests.hpp"
#include "libconvert/registry/registries_conf.hpp"
#include "libconvert/registry/registry_destination.hpp"
#include "libconvert/registry/registry_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

namespace vm2oci::registry {
namespace {

// The hub's images are named after a host that does not serve them.
constexpr std::string_view kHubHost = "registry-1.docker.io";

std::shared_ptr<RegistryClient> try_connection(const Endpoint& endpoint, std::string_view scheme,
                                               CertificateCheck check, const RegistryOptions& options,
                                               const OperationContext& operation) {
    const std::string host(endpoint.registry == kDockerHub ? kHubHost : endpoint.registry);
    RegistryIdentity identity;
    identity.name = endpoint.registry;
    identity.repository = endpoint.repository;
    identity.base = parse_url(fmt::format("{}://{}/", scheme, host));
    CurlTransportOptions transport;
    transport.check = check;
    transport.operation = operation;
    transport.client_host = identity.base.host_and_port();
    if (scheme == "https")
        transport.tls = load_tls_settings(host, options.certificate_folder);
    auto client = std::make_shared<RegistryClient>(
        std::move(identity), RegistryClient::Parts{std::make_unique<CurlTransport>(std::move(transport)),
                                                   std::make_unique<SystemClock>(operation),
                                                   std::make_unique<StoredCredentials>(options.auth_file)});
    client->ping();
    return client;
}

} // namespace

class Connections {
  public:
    template <class Make>
    std::shared_ptr<RegistryClient> find_or_make(const std::string& key, Make make) {
        const std::lock_guard lock(mutex_);
        std::shared_ptr<RegistryClient>& client = clients_[key];
        if (!client)
            client = make();
        return client;
    }

  private:
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<RegistryClient>> clients_;
};

std::shared_ptr<Connections> make_connections() {
    return std::make_shared<Connections>();
}

namespace {

// What a person may do about it; "" where the fault says all.
std::string_view advice_on(NetworkFault fault) {
    switch (fault) {
    case NetworkFault::unreachable:
        return "nobody answers there (check the name, the port and the network)";
    case NetworkFault::tls_untrusted:
        return "its certificate is not trusted";
    case NetworkFault::tls_expired:
        return "its certificate is not valid now (the registry must renew it, unless the clock of this machine is "
               "wrong)";
    case NetworkFault::tls_elsewhere:
        return "its certificate is for another name (use the name that it was made for)";
    default:
        return "";
    }
}

std::shared_ptr<RegistryClient> connect_anew(const Endpoint& endpoint, const RegistryOptions& options,
                                             const OperationContext& operation) {
    const bool insecure =
        options.tls_verify == TlsVerify::never || (options.tls_verify == TlsVerify::automatic && endpoint.insecure);
    const Url tls_address = parse_url("https://" + endpoint.registry + "/");
    const std::string& host = tls_address.host;
    const bool names_no_port = tls_address.port == 443;
    const bool may_be_plain = insecure || (options.tls_verify == TlsVerify::automatic && is_loopback(host));
    return with_context("connecting to " + endpoint.registry, [&] {
        try {
            return try_connection(endpoint, "https", insecure ? CertificateCheck::skip : CertificateCheck::verify,
                                  options, operation);
        } catch (NetworkError& error) {
            if (const std::string_view advice = advice_on(error.fault()); !advice.empty())
                error.add_context(std::string(advice));
            if (error.fault() == NetworkFault::tls_untrusted)
                error.suggest(HintKind::certificate);
            // Without a port in its name, plain HTTP is at another port than TLS.
            const bool may_be_elsewhere = error.fault() == NetworkFault::unreachable && insecure && names_no_port;
            const bool speaks_no_tls = error.fault() == NetworkFault::tls_handshake ||
                                       error.fault() == NetworkFault::dropped || may_be_elsewhere;
            if (!speaks_no_tls || !may_be_plain) {
                if (speaks_no_tls && options.tls_verify == TlsVerify::automatic) {
                    error.add_context("it does not speak TLS");
                    error.suggest(HintKind::plain_http);
                }
                throw;
            }
        }
        return try_connection(endpoint, "http", CertificateCheck::verify, options, operation);
    });
}

std::shared_ptr<RegistryClient> connect_endpoint(const Endpoint& endpoint, const RegistryOptions& options,
                                                 const OperationContext& operation) {
    if (!options.connections)
        return connect_anew(endpoint, options, operation);
    const std::string key =
        fmt::format("{}/{} {}", endpoint.registry, endpoint.repository, endpoint.insecure ? "insecure" : "");
    return options.connections->find_or_make(key, [&] { return connect_anew(endpoint, options, operation); });
}

} // namespace

std::string registry_name(const RegistryReference& reference) {
    return reference.port == 0 ? reference.host : fmt::format("{}:{}", reference.host, reference.port);
}

std::shared_ptr<RegistryClient> connect(const RegistryReference& reference, const RegistryOptions& options,
                                        const OperationContext& operation) {
    const std::vector<Endpoint> endpoints = endpoints_for(load_registries_conf(), registry_name(reference),
                                                          reference.repository, ReferenceBy::tag, Mirrors::skip);
    return connect_endpoint(endpoints.back(), options, operation);
}

std::unique_ptr<ImageSource> open_registry_source(const RegistryReference& reference, const RegistryOptions& options,
                                                  const OperationContext& operation) {
    const std::vector<Endpoint> endpoints =
        endpoints_for(load_registries_conf(), registry_name(reference), reference.repository,
                      reference.digest.empty() ? ReferenceBy::tag : ReferenceBy::digest, Mirrors::use);
    for (std::size_t i = 0; i + 1 < endpoints.size(); ++i) {
        try {
            auto mirror = std::make_unique<RegistrySource>(connect_endpoint(endpoints[i], options, operation),
                                                           reference, operation);
            mirror->resolve();
            return mirror;
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled)
                throw;
            operation.progress->note(
                fmt::format("the mirror {} does not serve it: {}", endpoints[i].registry, error.what()));
        }
    }
    return std::make_unique<RegistrySource>(connect_endpoint(endpoints.back(), options, operation), reference,
                                            operation);
}

std::unique_ptr<ImageDestination> open_registry_destination(const RegistryReference& reference,
                                                            const RegistryOptions& options,
                                                            const OperationContext& operation) {
    return std::make_unique<RegistryDestination>(connect(reference, options, operation), reference, options.mount_from,
                                                 operation);
}

std::vector<Descriptor> list_registry_referrers(const RegistryReference& reference, const Digest& subject,
                                                const RegistryOptions& options, const OperationContext& operation) {
    return list_referrers(*connect(reference, options, operation), subject);
}

std::vector<std::string> list_registry_tags(const RegistryReference& reference, const RegistryOptions& options,
                                            const OperationContext& operation) {
    return list_tags(*connect(reference, options, operation));
}

} // namespace vm2oci::registry
