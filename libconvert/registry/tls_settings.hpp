// What a TLS connection to a registry trusts and shows: system roots, certs.d of containers and docker.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace vm2oci::registry {

enum class TlsVerify {
    automatic, // verified; a loopback host that does not speak TLS is spoken to in plain HTTP
    always,    // verified, never plain HTTP
    never,     // --tls-verify=false: not verified, plain HTTP where TLS is not spoken
};

struct TlsSettings {
    std::string extra_roots;                  // PEM, beside the system's; empty: only the system's
    std::filesystem::path client_certificate; // PEM; empty: none
    std::filesystem::path client_key;
};

// `chosen`, if it is not empty, is a folder whose files apply to every host (--cert-dir). Else HOST[:PORT]/ below the
// first that has it of $XDG_CONFIG_HOME or ~/.config/containers/certs.d, /etc/containers/certs.d, /etc/docker/certs.d.
// Beside them, for every host: $SSL_CERT_FILE and the files in $SSL_CERT_DIR.
// In a folder of certs.d, *.crt are roots, *.cert with the *.key of the same name is the client's certificate.
// Error{usage} for a certificate without its key.
TlsSettings load_tls_settings(std::string_view host_and_port, const std::filesystem::path& chosen);

} // namespace vm2oci::registry
