// How registries are spoken to.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace vm2oci::v0 {

enum class TlsVerify {
    automatic, // verified; a loopback host that does not speak TLS is spoken to in plain HTTP
    always,    // verified, never plain HTTP
    never,     // not verified, plain HTTP where TLS is not spoken
};

struct RegistryOptions {
    TlsVerify tls_verify = TlsVerify::automatic;
    std::filesystem::path auth_file;          // of `podman login`; empty: the usual places
    std::filesystem::path certificate_folder; // empty: certs.d
    std::vector<std::string> mount_from;      // repositories of the same registry that blobs may be taken from
};

} // namespace vm2oci::v0
