#include "tools/library/border.hpp"

#include "formats/base/system_error.hpp"
#include "libconvert/edit/agent_package.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/source/proven_layers.hpp"
#include "tools/flows/appliance_machine.hpp"

#include <filesystem>
#include <optional>

namespace vm2oci::v0 {

// The kinds have the same order on both sides.
static_assert(static_cast<int>(ErrorKind::cancelled) == static_cast<int>(vm2oci::ErrorKind::cancelled));

void rethrow(const vm2oci::Error& error) {
    throw Error(static_cast<ErrorKind>(error.kind()), error.message(), error.context(),
                {std::string(to_string(error.hint().kind)), error.hint().argument});
}

void rethrow(const std::system_error& error) {
    rethrow(refused_by_system(error));
}

struct Cancellation::State {
    vm2oci::Cancellation flag;
};

Cancellation::Cancellation() : state_(std::make_unique<State>()) {}
Cancellation::~Cancellation() = default;
void Cancellation::cancel() noexcept {
    state_->flag.cancel();
}
bool Cancellation::cancelled() const noexcept {
    return state_->flag.cancelled();
}

Progress::~Progress() = default;
void Progress::begin(std::string_view /*phase*/, std::uint64_t /*total_bytes*/) noexcept {}
void Progress::advance(std::uint64_t /*bytes*/) noexcept {}
void Progress::end() noexcept {}
void Progress::note(std::string_view /*line*/) noexcept {}

OperationContext OperationBridge::context() {
    OperationContext context;
    if (operation_.progress != nullptr)
        context.progress = this;
    if (operation_.cancellation != nullptr)
        context.cancellation = &operation_.cancellation->state_->flag;
    context.threads = operation_.threads;
    context.scratch_folder = operation_.scratch_folder;
    return context;
}

void OperationBridge::begin(std::string_view phase, std::uint64_t total_bytes) noexcept {
    operation_.progress->begin(phase, total_bytes);
}
void OperationBridge::advance(std::uint64_t bytes) noexcept {
    operation_.progress->advance(bytes);
}
void OperationBridge::end() noexcept {
    operation_.progress->end();
}
void OperationBridge::note(std::string_view line) noexcept {
    operation_.progress->note(line);
}

vm2oci::registry::RegistryOptions to_internal(const RegistryOptions& options) {
    using Tls = vm2oci::registry::TlsVerify;
    vm2oci::registry::RegistryOptions result;
    result.tls_verify = options.tls_verify == TlsVerify::always  ? Tls::always
                        : options.tls_verify == TlsVerify::never ? Tls::never
                                                                 : Tls::automatic;
    result.auth_file = options.auth_file;
    result.certificate_folder = options.certificate_folder;
    result.mount_from = options.mount_from;
    result.connections = vm2oci::registry::make_connections();
    return result;
}

vm2oci::SourceRequest to_internal(const SourceOptions& options) {
    const auto tolerance = [](bool allowed) { return allowed ? Tolerance::allow : Tolerance::refuse; };
    vm2oci::SourceRequest request;
    for (const std::string& text : options.backing)
        add_backing(request, text);
    request.parts.data_file = options.data_file;
    request.parts.extents = options.extents;
    if (options.max_virtual_size)
        request.policy.max_virtual_size = *options.max_virtual_size;
    request.policy.corrupt_bit = tolerance(options.allow_corrupt);
    request.policy.truncation = tolerance(options.allow_truncated);
    request.policy.in_use = tolerance(options.allow_in_use);
    request.registry = to_internal(options.registry);
    request.disks = options.disks;
    request.authorities = options.authorities;
    request.layer_cache = user_layer_cache();
    return request;
}

static vm2oci::GuestBackend to_internal(GuestBackend backend) {
    switch (backend) {
    case GuestBackend::automatic:
        return vm2oci::GuestBackend::automatic;
    case GuestBackend::native:
        return vm2oci::GuestBackend::native;
    case GuestBackend::appliance:
        return vm2oci::GuestBackend::appliance;
    case GuestBackend::libguestfs:
        return vm2oci::GuestBackend::libguestfs;
    }
    return vm2oci::GuestBackend::automatic;
}

vm2oci::GuestAccess to_internal(const GuestAccess& access) {
    vm2oci::GuestAccess result(to_internal(access.backend));
    for (const std::string& key : access.keys)
        result.keys.push_back(read_disk_key(key));
    result.root = access.root;
    result.machine = installed_appliance();
    return result;
}

vm2oci::EditRequest to_internal(const Edits& edits) {
    vm2oci::EditRequest request;
    request.cloud_init = {edits.cloud_init.user_data, edits.cloud_init.meta_data, edits.cloud_init.network_config,
                          edits.cloud_init.vendor_data, edits.cloud_init.as_disk ? SeedPlace::disk : SeedPlace::image};
    if (edits.cloud_init.as_disk && !request.cloud_init.has_files())
        fail(vm2oci::ErrorKind::usage, "a seed disk needs something to put on it");
    for (const SshKey& key : edits.ssh_keys)
        request.ssh_keys.push_back({key.keys, key.user});
    request.hostname = edits.hostname;
    if (!edits.hostname.empty())
        check_hostname(edits.hostname);
    for (const std::string& agent : edits.agents)
        request.agents.push_back(load_agent(agent));
    for (const CopiedFile& file : edits.copies) {
        if (!std::filesystem::is_regular_file(file.source))
            fail(vm2oci::ErrorKind::usage, quote_untrusted(file.source.string()) + " is no regular file");
        request.copies.push_back(
            {file.source, std::filesystem::file_size(file.source), file.destination, file.mode, file.uid, file.gid});
    }
    if (!edits.sysprep.empty())
        request.sysprep = select_sysprep(edits.sysprep);
    if (!edits.fixes.empty())
        request.fixes = select_fixes(edits.fixes == "default" ? "all" : edits.fixes);
    return request;
}

vm2oci::ContentCheck content_check(const SourceOptions& options) {
    return options.verify ? ContentCheck::whole : ContentCheck::parts;
}

vm2oci::ImageReference image_reference(const std::string& text) {
    auto reference = parse_image_reference(text);
    if (!reference)
        fail(vm2oci::ErrorKind::usage, quote_untrusted(text) + " is a disk, and an image is needed");
    return *std::move(reference);
}

} // namespace vm2oci::v0
