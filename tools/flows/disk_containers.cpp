#include "tools/flows/disk_containers.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/codec/compressed_file.hpp"
#include "libconvert/registry/http_disk.hpp"
#include "libconvert/remote/nbd_disk.hpp"
#include "libconvert/source/machine_package.hpp"
#include "libconvert/source/package_files.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

namespace vm2oci {
namespace {

// "PATH" or "PATH:DISK".
struct PackagePath {
    std::string path;
    std::string disk;
};

// Colons may belong to the path: a file that is there decides.
PackagePath split_package(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    std::error_code ignored;
    if (colon == std::string::npos || colon == 0 || std::filesystem::exists(text, ignored))
        return {text, ""};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

// What lies in a package, or, of a package that is one file of several, in a file of it.
DiskContainer container_of(const PackageDisk& disk, const std::string& package, const SourceRequest& request,
                           const OperationContext& operation) {
    DiskContainer container;
    const std::string& file = disk.is_blank ? disk.id : disk.file;
    container.name = escape_untrusted(package) + ": " + escape_untrusted(file);
    container.source = request.disk_source(package + ": " + file, std::nullopt);
    if (disk.is_blank) {
        container.source.format = DiskFormat::raw;
        container.bytes = disk.bytes;
        return container;
    }
    return with_context(container.name, [&] {
        if (disk.compression == OvfCompression::gzip && detect_file_compression(*disk.bytes) != FileCompression::gzip)
            fail(ErrorKind::corrupt, "the descriptor says that it is compressed with gzip, and it is not");
        DiskFile unpacked = unpack_disk_file(disk.bytes, container.source, operation);
        container.bytes = std::move(unpacked.container);
        container.packing = unpacked.packing;
        return container;
    });
}

MachineContainers from_package(const PackageFiles& files, const std::string& name, const std::string& disk,
                               const SourceRequest& request, const OperationContext& operation) {
    PackageRequest wanted{request.policy, request.authorities, disk};
    if (request.disks.size() > 1)
        fail(ErrorKind::usage, "a package of a machine has its disks with it; only one of them can be chosen");
    if (!request.disks.empty() && !disk.empty())
        fail(ErrorKind::usage, "the reference says which disk of the package it is; choose none beside it");
    if (!request.disks.empty())
        wanted.disk = request.disks.front();
    MachinePackage package = with_context(escape_untrusted(name), [&] { return open_package(files, wanted); });
    MachineContainers machine;
    for (std::size_t i = 0; i < package.disks.size(); ++i) {
        SourceRequest of_disk = request;
        if (i > 0) { // a chain belongs to one disk
            of_disk.backing.clear();
            of_disk.data_file.reset();
            of_disk.extents.clear();
        }
        machine.disks.push_back(container_of(package.disks[i], name, of_disk, operation));
    }
    machine.hardware = std::move(package.hardware);
    machine.verifier = std::move(package.verifier);
    machine.remarks = std::move(package.remarks);
    return machine;
}

DiskFile open_remote_file(const DiskSource& source, const SourceRequest& request, const OperationContext& operation) {
    const std::string address = source.path.string();
    const std::uint64_t largest = largest_container(source.policy.max_virtual_size);
    return unpack_disk_file(is_nbd_uri(address)
                                ? open_nbd_disk(address, operation)
                                : registry::open_http_disk(address, request.registry, largest, operation),
                            source, operation);
}

DiskContainer open_file(const DiskReference& reference, const SourceRequest& request,
                        const OperationContext& operation) {
    DiskContainer disk;
    const bool has_secrets = registry::is_http_url(reference.path); // what stands behind a question mark
    disk.name = escape_untrusted(has_secrets ? reference.path.substr(0, reference.path.find('?')) : reference.path);
    disk.source = request.disk_source(reference.path, reference.format);
    const bool is_remote = is_server_address(reference.path);
    DiskFile file = is_remote
                        ? with_context(disk.name, [&] { return open_remote_file(disk.source, request, operation); })
                        : open_packed_file(disk.source, operation);
    if (has_secrets)
        disk.source.path = disk.name;
    disk.bytes = std::move(file.container);
    disk.packing = file.packing;
    const bool is_file = !disk.packing && reference.path != kStandardInput && !is_remote;
    disk.siblings = is_file ? Siblings::beside_path : Siblings::none;
    return disk;
}

void add_further_disks(MachineContainers& machine, const SourceRequest& request, const OperationContext& operation) {
    SourceRequest of_disk = request;
    of_disk.backing.clear();
    of_disk.data_file.reset();
    of_disk.extents.clear();
    for (const std::string& text : request.disks) {
        const Reference reference = parse_reference(text);
        const auto* disk = std::get_if<DiskReference>(&reference);
        if (disk == nullptr || disk->is_package)
            fail(ErrorKind::usage,
                 fmt::format(
                     "'{}' is no further disk of a machine, but {}; of a package one disk is chosen by number or name",
                     text, disk == nullptr ? "an image" : "a package"));
        machine.disks.push_back(open_file(*disk, of_disk, operation));
    }
}

} // namespace

MachineContainers open_disk_containers(const DiskReference& reference, const SourceRequest& request,
                                       const OperationContext& operation) {
    DiskReference named = reference;
    std::string disk;
    if (reference.is_package) {
        PackagePath package = split_package(reference.path);
        named.path = std::move(package.path);
        disk = std::move(package.disk);
    }
    DiskContainer file = open_file(named, request, operation);
    const bool may_be_package = !named.format && !file.packing;
    if (may_be_package && (reference.is_package ? !looks_like_ovf(*file.bytes) : looks_like_ova(*file.bytes)))
        return from_package(*with_context(file.name, [&] { return open_ova_members(file.bytes); }), named.path, disk,
                            request, operation);
    if (may_be_package && named.path != kStandardInput && !is_server_address(named.path) && looks_like_ovf(*file.bytes))
        return from_package(*open_ovf_folder(named.path, file.bytes, request.policy), named.path, disk, request,
                            operation);
    if (reference.is_package)
        with_context(file.name, [&] { fail(ErrorKind::unsupported, "it is no package of a machine (OVA or OVF)"); });
    if (request.authorities)
        fail(ErrorKind::usage,
             "only packages of machines are signed, and this is a plain disk: no authority can vouch for it");
    MachineContainers machine;
    machine.disks.push_back(std::move(file));
    add_further_disks(machine, request, operation);
    return machine;
}

} // namespace vm2oci
