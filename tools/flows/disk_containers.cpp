#include "tools/flows/disk_containers.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/block/detect.hpp"
#include "formats/block/vmdk/extent_files.hpp"
#include "formats/codec/compressed_file.hpp"
#include "libconvert/registry/http_disk.hpp"
#include "libconvert/remote/nbd_disk.hpp"
#include "libconvert/source/archive_refusal.hpp"
#include "libconvert/source/described_disks.hpp"
#include "libconvert/source/machine_package.hpp"
#include "libconvert/source/package_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace vm2oci {
namespace {

// "PATH" or "PATH:DISK".
struct MachinePath {
    std::string path;
    std::string disk;
};

// Colons may belong to the path, and to the disk ("scsi0:1"): a file that is there decides.
MachinePath split_machine(const std::string& text) {
    // Those of an address belong to it, but for one in its last part.
    if (is_server_address(text)) {
        const std::size_t colon = text.rfind(':');
        const bool is_disk = text.find('?') == std::string::npos && colon > text.rfind('/');
        return is_disk ? MachinePath{text.substr(0, colon), text.substr(colon + 1)} : MachinePath{text, ""};
    }
    std::error_code ignored;
    if (std::filesystem::exists(text, ignored))
        return {text, ""};
    const auto split_at = [&](std::size_t colon) { return MachinePath{text.substr(0, colon), text.substr(colon + 1)}; };
    const std::size_t last = text.rfind(':');
    for (std::size_t at = last; at != std::string::npos && at > 0; at = text.rfind(':', at - 1))
        if (std::filesystem::exists(text.substr(0, at), ignored))
            return split_at(at);
    return last == std::string::npos || last == 0 ? MachinePath{text, ""} : split_at(last);
}

// Nobody can name the format of a disk in a package; its descriptor can, who was written by who wrote the disk.
bool may_be_fixed_vhd(const BlockDevice& bytes) {
    const std::vector<FormatMatch> matches = detect(bytes).matches;
    return matches.size() == 1 && matches.front().by_tail && matches.front().format == DiskFormat::vhd;
}

// What lies in a package, or, of a package that is one file of several, in a file of it.
DiskContainer container_of(const PackageDisk& disk, const std::string& package, const SourceRequest& request,
                           const OperationContext& operation) {
    DiskContainer container;
    const std::string& file = disk.is_blank ? disk.id : disk.file;
    container.name = escape_untrusted(package) + ": " + escape_untrusted(file);
    container.source = request.disk_source(package + ": " + file, std::nullopt);
    container.source.package = disk.parts;
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
        if (disk.format == OvfFormat::vhd && may_be_fixed_vhd(*container.bytes))
            container.source.format = DiskFormat::vhd;
        return container;
    });
}

MachineContainers from_package(const MachineFiles& files, const std::string& name, const std::string& disk,
                               const SourceRequest& request, const OperationContext& operation) {
    PackageRequest wanted{request.policy, request.authorities, disk};
    if (request.disks.size() > 1)
        fail(ErrorKind::usage, "a package of a machine has its disks with it; only one of them can be chosen");
    if (!request.disks.empty() && !disk.empty())
        fail(ErrorKind::usage, "the reference says which disk of the package it is; choose none beside it");
    if (!request.disks.empty()) {
        wanted.disk = request.disks.front();
        if (wanted.disk.empty())
            fail(ErrorKind::usage, "of the machine's disks one is to be chosen, and its number or name is empty");
    }
    MachinePackage package = with_context(escape_untrusted(name), [&] { return open_package(files, wanted); });
    MachineContainers machine;
    for (std::size_t i = 0; i < package.disks.size(); ++i) {
        machine.disks.push_back(container_of(package.disks[i], name, request.for_disk(i + 1), operation));
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

// A file or address that the request names beside the reference.
DiskReference further_disk(const std::string& text) {
    const Reference reference = parse_reference(text);
    const auto* disk = std::get_if<DiskReference>(&reference);
    if (disk == nullptr || disk->machine)
        fail(ErrorKind::usage,
             fmt::format("'{}' is no further disk of a machine, but {}; of a machine with its disks one is chosen by "
                         "number or name",
                         text, disk == nullptr ? "an image" : "a machine"));
    return *disk;
}

DescriptionFormat description_format(MachineSource source) {
    switch (source) {
    case MachineSource::libvirt:
        return DescriptionFormat::libvirt;
    case MachineSource::hyperv:
        return DescriptionFormat::hyperv;
    default:
        return DescriptionFormat::vmx;
    }
}

std::string read_text(const BlockDevice& file, std::uint64_t most) {
    std::string text(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), most)), '\0');
    file.read_at(0, std::as_writable_bytes(std::span(text)));
    return text;
}

// As the reference says, or, of a bare path, as exactly one rule has it.
std::optional<DescriptionFormat> description_of(const DiskReference& reference, const BlockDevice& file) {
    if (reference.machine && reference.machine != MachineSource::package)
        return description_format(*reference.machine);
    if (reference.machine)
        return std::nullopt;
    const std::optional<DescriptionFormat> format = detect_description(read_text(file, kDescriptionHeadBytes));
    if (!format)
        return std::nullopt;
    const Detection detection = detect(file);
    std::string_view other = detection.raw_signs.empty() ? "" : detection.raw_signs.front();
    for (const FormatMatch& match : detection.matches)
        if (match.name != kXmlDocument)
            other = match.name;
    if (!other.empty())
        fail(ErrorKind::unsafe, fmt::format("the file looks like a description of a machine and like {0} at once; say "
                                            "which it is, with {1}:PATH or raw:PATH",
                                            other, to_string(*format)));
    return format;
}

bool is_choice(const std::string& text, const MachineDescription& machine) {
    const auto is_id = [&](const MachineDisk& disk) { return disk.id == text; };
    return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }) ||
           std::ranges::any_of(machine.hardware.disks, is_id);
}

// Parts of a VMDK whose disk is not said go to the one whose name they begin with, else to the first.
std::vector<std::filesystem::path> extents_of(std::size_t disk, const std::vector<LocatedDisk>& disks,
                                              const MachineDescription& machine,
                                              const std::vector<std::filesystem::path>& parts) {
    const auto owner = [&](const std::filesystem::path& part) {
        for (std::size_t i = 0; i < disks.size(); ++i)
            if (disks[i].number < machine.files.size() &&
                vmdk::is_sibling_name(machine.files[disks[i].number].name, part.filename().string()))
                return i;
        return std::size_t{0};
    };
    std::vector<std::filesystem::path> mine;
    for (const std::filesystem::path& part : parts)
        if (owner(part) == disk)
            mine.push_back(part);
    return mine;
}

DiskContainer container_of(LocatedDisk located, const SourceRequest& request, const OperationContext& operation) {
    if (located.given)
        return open_file(further_disk(request.disks[*located.given]), request, operation);
    DiskContainer disk;
    disk.name = escape_untrusted(located.path.string());
    disk.source = request.disk_source(located.path.string(), located.format);
    DiskFile file =
        with_context(disk.name, [&] { return unpack_disk_file(std::move(located.sibling), disk.source, operation); });
    disk.bytes = std::move(file.container);
    disk.packing = file.packing;
    disk.siblings = disk.packing ? Siblings::none : Siblings::beside_path;
    return disk;
}

MachineContainers from_description(DescriptionFormat format, const BlockDevice& file, const std::string& path,
                                   std::string wanted, const SourceRequest& request,
                                   const OperationContext& operation) {
    const std::string name = escape_untrusted(path);
    MachineDescription machine = parse_description(format, read_text(file, kMaxDescriptionBytes + 1), name);
    SourceRequest of_disks = request;
    of_disks.disks.clear();
    for (const std::string& text : request.disks) {
        if (!is_choice(text, machine)) {
            of_disks.disks.push_back(text);
        } else if (wanted.empty()) {
            wanted = text;
        } else {
            fail(ErrorKind::usage, "only one disk of a machine can be chosen");
        }
    }
    LocationRequest location{path, {}, wanted, request.policy};
    for (const std::string& text : of_disks.disks)
        location.given.push_back(further_disk(text).path);
    std::vector<LocatedDisk> disks = with_context(name, [&] { return locate_disks(machine, location); });
    MachineContainers containers;
    for (std::size_t i = 0; i < disks.size(); ++i) {
        SourceRequest of_disk = of_disks.for_disk(i + 1);
        const auto owned = extents_of(i, disks, machine, request.parts.extents);
        if (i == 0)
            of_disk.parts.extents = owned;
        else
            of_disk.parts.extents.insert(of_disk.parts.extents.end(), owned.begin(), owned.end());
        containers.disks.push_back(container_of(disks[i], of_disk, operation));
    }
    containers.hardware = std::move(machine.hardware);
    return containers;
}

// The members of what was called a package, or looks like one. Anything else is named for what it is.
std::unique_ptr<MachineFiles> open_archive(const DiskContainer& file) {
    return with_context(file.name, [&] {
        const std::vector<FormatMatch> matches = detect(*file.bytes).matches;
        if (matches.empty() || matches.front().name.starts_with("tar archive"))
            return open_ova_members(file.bytes);
        const FormatMatch& match = matches.front();
        fail(ErrorKind::unsupported,
             fmt::format("it is no package of a machine (OVA or OVF), for it looks like {}; {}", match.name,
                         match.format ? "name it as a disk, without ova:" : match.advice));
    });
}

MachineContainers find_disk_containers(const DiskReference& reference, const SourceRequest& request,
                                       const OperationContext& operation) {
    DiskReference named = reference;
    std::string disk;
    if (reference.machine) {
        MachinePath machine = split_machine(reference.path);
        named.path = std::move(machine.path);
        disk = std::move(machine.disk);
        if (disk.empty() && named.path + ":" == reference.path)
            fail(ErrorKind::usage, fmt::format("the reference to {} ends in a colon, and names no disk of it",
                                               quote_untrusted(named.path)));
    }
    const bool is_package = reference.machine == MachineSource::package;
    DiskContainer file = open_file(named, request, operation);
    const bool may_be_machine = !named.format && !file.packing;
    const bool has_folder = named.path != kStandardInput && !is_server_address(named.path);
    if (reference.machine && !is_package && !(may_be_machine && has_folder))
        with_context(file.name, [] { fail(ErrorKind::usage, "a description of a machine is a plain file"); });
    const std::optional<DescriptionFormat> description =
        may_be_machine && has_folder ? with_context(file.name, [&] { return description_of(named, *file.bytes); })
                                     : std::nullopt;
    if (description && request.authorities)
        fail(ErrorKind::usage, "only packages of machines are signed, and this is a description of one");
    if (description)
        return from_description(*description, *file.bytes, named.path, disk, request.for_machine(), operation);
    if (may_be_machine && (is_package ? !looks_like_ovf(*file.bytes) : looks_like_ova(*file.bytes)))
        return from_package(*open_archive(file), named.path, disk, request.for_machine(), operation);
    if (may_be_machine && has_folder && looks_like_ovf(*file.bytes))
        return from_package(*open_ovf_folder(named.path, file.bytes, request.policy), named.path, disk,
                            request.for_machine(), operation);
    if (is_package)
        with_context(file.name, [&] { fail(ErrorKind::unsupported, "it is no package of a machine (OVA or OVF)"); });
    if (may_be_machine && is_vagrant_box(names_in_tar(*file.bytes)))
        with_context(file.name, [&] { refuse_tar(*file.bytes, ""); });
    if (request.authorities)
        fail(ErrorKind::usage,
             "only packages of machines are signed, and this is a plain disk: no authority can vouch for it");
    MachineContainers machine;
    machine.disks.push_back(std::move(file));
    for (DiskContainer& further : open_further_disks(request, machine.disks.size() + 1, operation))
        machine.disks.push_back(std::move(further));
    return machine;
}

} // namespace

MachineContainers open_disk_containers(const DiskReference& reference, const SourceRequest& request,
                                       const OperationContext& operation) {
    MachineContainers machine = find_disk_containers(reference, request, operation);
    require_disks_of_parts(machine.hardware ? request.for_machine() : request, machine.disks.size());
    return machine;
}

std::vector<DiskContainer> open_further_disks(const SourceRequest& request, std::size_t first,
                                              const OperationContext& operation) {
    if (request.authorities)
        fail(ErrorKind::usage, "only packages of machines are signed in this way: no authority can vouch for it");
    std::vector<DiskContainer> disks;
    disks.reserve(request.disks.size());
    for (const std::string& text : request.disks)
        disks.push_back(open_file(further_disk(text), request.for_disk(first + disks.size()), operation));
    return disks;
}

} // namespace vm2oci
