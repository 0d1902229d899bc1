#include "tools/vm2oci/registry_options.hpp"

#include "formats/base/error.hpp"
#include "tools/vm2oci/help.hpp"

#include <CLI/CLI.hpp>

namespace vm2oci::cli {

registry::RegistryOptions RegistryArguments::options() const {
    registry::RegistryOptions options;
    if (!tls_verify.empty())
        options.tls_verify = tls_verify == "true" ? registry::TlsVerify::always : registry::TlsVerify::never;
    options.auth_file = auth_file;
    options.certificate_folder = certificate_folder;
    options.mount_from = mount_from;
    options.connections = connections;
    return options;
}

std::shared_ptr<RegistryArguments> add_registry_options(CLI::App& command) {
    auto arguments = std::make_shared<RegistryArguments>();
    command
        .add_option("--tls-verify", arguments->tls_verify,
                    "true: only verified TLS; false: TLS without verification, or plain HTTP (default: verified TLS, "
                    "and plain HTTP for a registry on this machine that speaks no TLS)")
        ->option_text("BOOL")
        ->check(CLI::IsMember({"true", "false"}))
        ->group(group::registry);
    command
        .add_option("--authfile", arguments->auth_file,
                    "Login file (default: $REGISTRY_AUTH_FILE, else those of podman and docker)")
        ->option_text("FILE")
        ->group(group::registry);
    command
        .add_option("--cert-dir", arguments->certificate_folder,
                    "Folder with *.crt (authorities), *.cert and *.key (our certificate); default: certs.d")
        ->option_text("DIR")
        ->group(group::registry);
    return arguments;
}

void refuse_mount_elsewhere(const std::vector<std::string>& mount_from, const Reference& destination) {
    const auto* image = std::get_if<ImageReference>(&destination);
    if (!mount_from.empty() && (image == nullptr || !std::holds_alternative<RegistryReference>(*image)))
        fail(ErrorKind::usage, "--mount-from is for destinations in a registry; leave it away");
}

void add_mount_option(CLI::App& command, RegistryArguments& arguments) {
    command
        .add_option("--mount-from", arguments.mount_from,
                    "A repository of the same registry that may have some of the blobs already (repeat)")
        ->option_text("REPO")
        ->allow_extra_args(false)
        ->group(group::registry);
}

} // namespace vm2oci::cli
