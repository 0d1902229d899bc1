// HttpTransport over libcurl: connections are kept and reused, proxies come from the environment (https_proxy,
// no_proxy), nothing but http and https is spoken, .netrc and curl's own configuration are not read.
#pragma once

#include "formats/base/progress.hpp"
#include "libconvert/registry/http.hpp"
#include "libconvert/registry/tls_settings.hpp"

#include <memory>

namespace vm2oci::registry {

enum class CertificateCheck { verify, skip };

struct CurlTransportOptions {
    CertificateCheck check = CertificateCheck::verify;
    TlsSettings tls;            // the roots apply to every host, the client's certificate to `client_host` only
    std::string client_host;    // host[:port]
    OperationContext operation; // cancellation is looked at several times a second
};

class CurlTransport final : public HttpTransport {
  public:
    explicit CurlTransport(CurlTransportOptions options);
    ~CurlTransport() override;

    HttpResponse perform(const HttpRequest& request) override;

  private:
    class HandlePool;

    CurlTransportOptions options_;
    std::unique_ptr<HandlePool> pool_;
};

} // namespace vm2oci::registry
