#include "tools/flows/inspect.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/joined.hpp"
#include "formats/oci/select.hpp"
#include "libconvert/edit/edit_disk.hpp"
#include "tools/flows/disk_containers.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

// Of all disks together: a guest may lie on several.
GuestFindings examine_guest_over(const std::vector<std::shared_ptr<const BlockDevice>>& devices, GuestReading reading,
                                 const OperationContext& operation) {
    if (devices.size() == 1)
        return examine_guest(devices.front(), reading, operation);
    for (const auto& device : devices)
        reading.access.disk_sizes.push_back(device->size());
    return examine_guest(std::make_shared<const JoinedDevice>(devices), reading, operation);
}

std::optional<GuestFindings> examine_guest_on(const MachineContainers& machine, const std::vector<DiskSeen>& seen,
                                              GuestReading reading, const OperationContext& operation) {
    const auto is_refused = [](const DiskSeen& disk) { return disk.findings.refusal.has_value(); };
    if (std::any_of(seen.begin(), seen.end(), is_refused))
        return std::nullopt;
    std::vector<std::shared_ptr<const BlockDevice>> devices;
    devices.reserve(machine.disks.size());
    for (const DiskContainer& disk : machine.disks)
        devices.push_back(open_disk(disk.bytes, disk.source, disk.siblings).device);
    return examine_guest_over(devices, std::move(reading), operation);
}

} // namespace

GuestFindings examine_guest(const std::shared_ptr<const BlockDevice>& disk, const GuestReading& reading,
                            const OperationContext& operation) {
    GuestFindings findings;
    try {
        findings.opened = open_guest(disk, reading.access, operation);
        findings.info = inspect_guest(findings.opened, operation, reading.large_files);
        if (reading.large_files == LargeFiles::read && !findings.opened.windows)
            findings.problems = diagnose(findings.opened);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::limit &&
            error.kind() != ErrorKind::unsupported)
            throw;
        findings.refusal = error.what();
    }
    return findings;
}

DiskInspection inspect_disk(const DiskReference& reference, const SourceRequest& request, const GuestReading& reading,
                            ContentCheck check, const OperationContext& operation) {
    const MachineContainers machine = open_disk_containers(reference, request, operation);
    DiskInspection inspection{{}, std::nullopt, machine.hardware, std::nullopt, machine.remarks};
    for (const DiskContainer& disk : machine.disks)
        inspection.disks.push_back({disk.name, examine_disk(disk.bytes, disk.source, disk.siblings), disk.packing});
    inspection.guest = examine_guest_on(machine, inspection.disks, reading, operation);
    if (machine.verifier) {
        inspection.trust = check == ContentCheck::whole ? ContentTrust::verified : ContentTrust::not_verified;
        if (check == ContentCheck::whole)
            machine.verifier->finish(operation);
    }
    return inspection;
}

ImageFindings examine_image(ImageSource& source, const ImageReading& reading, const OperationContext& operation) {
    ImageFindings findings;
    findings.content = read_image(source, reading.architecture);
    require_architecture(findings.content.config ? findings.content.config->platform.architecture : "",
                         reading.architecture);
    const bool is_verified = reading.check == ContentCheck::whole;
    if (is_verified)
        verify_content(source, findings.content, operation);
    findings.trust = is_verified ? ContentTrust::verified : trust_in_parts(source, findings.content);
    try {
        const MachineInImage machine = find_machine(source, findings.content, operation);
        findings.hardware = machine.hardware;
        std::vector<std::shared_ptr<const BlockDevice>> devices;
        for (const DiskInImage& disk : machine.disks) {
            const SourceRequest of_disk = reading.from.for_disk(findings.disk ? findings.further_disks.size() + 2 : 1);
            const DiskSource named = of_disk.disk_source(escape_untrusted(disk.path), disk.format);
            DiskFindings seen = examine_disk(disk.bytes, named);
            if (!seen.refusal)
                devices.push_back(open_disk(disk.bytes, named).device);
            if (!findings.disk) {
                findings.disk_path = disk.path;
                findings.disk = std::move(seen);
            } else {
                findings.further_disks.push_back({named.path, std::move(seen), std::nullopt});
            }
        }
        require_disks_of_parts(reading.from, machine.disks.size());
        if (devices.size() == machine.disks.size())
            findings.guest = examine_guest_over(devices, reading.guest, operation);
    } catch (const Error& error) {
        // An image without a disk is still an image; a machine that fails, or a wrong request, is not a finding.
        if (error.kind() == ErrorKind::io || error.kind() == ErrorKind::usage || error.kind() == ErrorKind::cancelled ||
            error.kind() == ErrorKind::external)
            throw;
        findings.no_disk = error.what();
    }
    if (!findings.disk)
        require_no_words_of_disks(reading.from, "the image holds no disk that could be looked at");
    return findings;
}

ImageFindings inspect_image(const ImageReference& reference, const SourceRequest& request, ImageReading reading,
                            const OperationContext& operation) {
    const auto* named = std::get_if<RegistryReference>(&reference);
    if (named != nullptr)
        reading.guest.large_files = LargeFiles::leave;
    reading.from = request;
    if (!request.disks.empty() || request.authorities)
        fail(ErrorKind::usage, "an image is looked at alone; inspect the disks of a machine as disks");
    const auto image = open_image_source(reference, operation, request.registry);
    ImageFindings findings = examine_image(*image, reading, operation);
    if (named != nullptr)
        findings.referrers =
            registry::list_registry_referrers(*named, findings.content.manifest.digest, request.registry, operation);
    return findings;
}

} // namespace vm2oci
