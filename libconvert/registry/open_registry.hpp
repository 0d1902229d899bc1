// docker:// as an image source and destination: from a name to a client that has found out how to speak to the
// registry.
#pragma once

#include "formats/oci/reference.hpp"
#include "formats/oci/store.hpp"
#include "libconvert/registry/client.hpp"
#include "libconvert/registry/tls_settings.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci::registry {

// HOST[:PORT], the name under which login files and registries.conf know the registry.
std::string registry_name(const RegistryReference& reference);

// The connections of one run, so that tokens and what was learnt about a registry serve all of it. Thread-safe.
class Connections;
std::shared_ptr<Connections> make_connections();

struct RegistryOptions {
    TlsVerify tls_verify = TlsVerify::automatic;
    std::filesystem::path auth_file;          // --authfile; empty: the usual places
    std::filesystem::path certificate_folder; // --cert-dir; empty: certs.d
    // Repositories of the same registry that blobs may be mounted from (--mount-from).
    std::vector<std::string> mount_from;
    std::shared_ptr<Connections> connections{}; // null: each opening connects anew; else of one set of options
};

// Connects: TLS or, where that is allowed (RegistryOptions::tls_verify, registries.conf), plain HTTP; GET /v2/.
// `operation` outlives the result. Error{external, io}.
std::shared_ptr<RegistryClient> connect(const RegistryReference& reference, const RegistryOptions& options,
                                        const OperationContext& operation);

// Connects to the mirrors of registries.conf in order, then to the registry; the first that has the image serves it.
std::unique_ptr<ImageSource> open_registry_source(const RegistryReference& reference, const RegistryOptions& options,
                                                  const OperationContext& operation);

std::unique_ptr<ImageDestination> open_registry_destination(const RegistryReference& reference,
                                                            const RegistryOptions& options,
                                                            const OperationContext& operation);

// What refers to a manifest of the repository (list_referrers()).
std::vector<Descriptor> list_registry_referrers(const RegistryReference& reference, const Digest& subject,
                                                const RegistryOptions& options, const OperationContext& operation);

// All tags of the repository, sorted.
std::vector<std::string> list_registry_tags(const RegistryReference& reference, const RegistryOptions& options,
                                            const OperationContext& operation);

} // namespace vm2oci::registry
