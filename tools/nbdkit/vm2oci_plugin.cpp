// nbdkit plugin: every disk that vm2oci reads, for every tool that speaks NBD.
//
//   nbdkit vm2oci docker://registry.example/team/web01:v1 --run 'qemu-img info $uri'
//
// Of an image in a registry only what is read is fetched. The callbacks are nbdkit-plugin(3)'s; the configuration is
// global because they have no other place for it.
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#include "formats/base/error.hpp"
#include "libconvert/package/architecture.hpp"
#include "tools/flows/boot_source.hpp"
#include "tools/flows/open_source.hpp"

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string_view>

namespace vm2oci::nbdkit {
namespace {

struct Plugin {
    std::string reference;
    std::string architecture;
    SourceRequest request;
    ContentCheck check = ContentCheck::parts;
    OperationContext operation;
    std::optional<SourceMachine> machine; // once nbdkit is ready to serve
};

Plugin plugin_state;

// Nothing is thrown through nbdkit. `failed` is what the callback returns then.
template <class Result, class Body>
Result guarded(Result failed, Body body) noexcept {
    try {
        return body();
    } catch (const std::exception& error) {
        nbdkit_error("%s", error.what());
        nbdkit_set_error(EIO);
        return failed;
    }
}

const BlockDevice& device() {
    return *plugin_state.machine->boot_disk().opened.device;
}

int configure(const char* key_text, const char* value_text) {
    return guarded(-1, [&] {
        const std::string_view key = key_text;
        const std::string value = value_text;
        SourceRequest& request = plugin_state.request;
        if (key == "reference")
            plugin_state.reference = value;
        else if (key == "arch")
            plugin_state.architecture = parse_wanted_platform(value);
        else if (key == "disk")
            request.disks.push_back(value);
        else if (key == "backing")
            add_backing(request, value);
        else if (key == "extent")
            add_extent(request, value);
        else if (key == "data-file")
            add_data_file(request, value);
        else if (key == "authfile")
            request.registry.auth_file = value;
        else if (key == "cert-dir")
            request.registry.certificate_folder = value;
        else if (key == "tls-verify" && (value == "true" || value == "false"))
            request.registry.tls_verify = value == "true" ? registry::TlsVerify::always : registry::TlsVerify::never;
        else if (key == "verify" && (value == "true" || value == "false"))
            plugin_state.check = value == "true" ? ContentCheck::whole : ContentCheck::parts;
        else
            fail(ErrorKind::usage, "vm2oci takes no parameter " + std::string(key) + "=" + value);
        return 0;
    });
}

int configuration_complete() {
    if (!plugin_state.reference.empty())
        return 0;
    nbdkit_error("name a disk or an image: nbdkit vm2oci docker://registry.example/team/web01:v1");
    return -1;
}

int get_ready() {
    return guarded(-1, [] {
        plugin_state.machine = open_source_machine(parse_reference(plugin_state.reference), plugin_state.request,
                                                   plugin_state.architecture, plugin_state.operation);
        only_disk(*plugin_state.machine); // refuses what cannot be served
        // Of a plain disk there is nothing to verify.
        if (!plugin_state.machine->verifier)
            return 0;
        if (plugin_state.check == ContentCheck::whole)
            plugin_state.machine->verify(plugin_state.operation);
        else
            std::fputs("nbdkit: vm2oci: the image is read in parts and not verified as a whole; verify=true reads it "
                       "all first\n",
                       stderr);
        return 0;
    });
}

void unload() {
    plugin_state.machine.reset();
}

void* open_connection(int /*readonly*/) {
    return NBDKIT_HANDLE_NOT_NEEDED;
}

std::int64_t get_size(void* /*handle*/) {
    return guarded(std::int64_t{-1}, [] { return static_cast<std::int64_t>(device().size()); });
}

int yes(void* /*handle*/) {
    return 1;
}

int read_disk(void* /*handle*/, void* buffer, std::uint32_t count, std::uint64_t offset, std::uint32_t /*flags*/) {
    return guarded(-1, [&] {
        device().read_at(offset, std::span(static_cast<std::byte*>(buffer), count));
        return 0;
    });
}

int list_extents(void* /*handle*/, std::uint32_t count, std::uint64_t offset, std::uint32_t flags,
                 nbdkit_extents* extents) {
    return guarded(-1, [&] {
        const std::uint64_t end = offset + count;
        for (std::uint64_t at = offset; at < end;) {
            const Extent extent = device().extent_at(at);
            const std::uint32_t kind = extent.kind == ExtentKind::data ? 0 : NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO;
            if (nbdkit_add_extent(extents, at, extent.length, kind) == -1)
                return -1;
            at += extent.length;
            if ((flags & NBDKIT_FLAG_REQ_ONE) != 0)
                break;
        }
        return 0;
    });
}

nbdkit_plugin describe() {
    nbdkit_plugin plugin{};
    plugin.name = "vm2oci";
    plugin.longname = "vm2oci: disks and disks in OCI images";
    plugin.description = "Serves a disk image, or the disk inside an OCI image, read-only; from a registry only what "
                         "is read is fetched.";
    plugin.config = configure;
    plugin.config_complete = configuration_complete;
    plugin.config_help =
        "[reference=]REFERENCE  (required) a path, qcow2:, raw:, vmdk: and so on, oci:, oci-archive: or docker://\n"
        "arch=ARCH              which image of an index\n"
        "disk=NUMBER            of a machine of several disks the one that is served\n"
        "backing=PATH[:FORMAT]  the backing file or parent of a disk; repeat for a chain\n"
        "data-file=PATH         the external data file of a qcow2\n"
        "extent=PATH            a file with a part of a VMDK; repeat for more\n"
        "verify=BOOL            read an image whole first, and hold it against its digests\n"
        "tls-verify=BOOL, authfile=FILE, cert-dir=DIR: as vm2oci's options";
    plugin.magic_config_key = "reference";
    plugin.get_ready = get_ready;
    plugin.unload = unload;
    plugin.open = open_connection;
    plugin.get_size = get_size;
    plugin.can_multi_conn = yes;
    plugin.can_extents = yes;
    plugin.pread = read_disk;
    plugin.extents = list_extents;
    return plugin;
}

nbdkit_plugin plugin = describe();

} // namespace
} // namespace vm2oci::nbdkit

using vm2oci::nbdkit::plugin;
NBDKIT_REGISTER_PLUGIN(plugin)
