// Whether anybody vouches for an NBD server behind TLS.
#pragma once

#include <string_view>

namespace vm2oci {

// Of a "nbds:" address: certificates of authorities (tls-certificates=FOLDER with ca-cert.pem, or libnbd's own folder),
// a key that both sides have (tls-psk-file), or the user's word (tls-verify-peer=false). Without them libnbd takes any
// server's certificate (up to 1.20: the system's authorities are loaded and asked for nothing, CVE-2024-7383), and so
// it does for sockets, which have no name that a certificate could hold. Error{usage}.
void require_trusted_server(std::string_view uri);

} // namespace vm2oci
