#include "tools/flows/inspect.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/edit_disk.hpp"

namespace vm2oci {

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
                            const OperationContext& operation) {
    const DiskSource source = request.disk_source(reference.path, reference.format);
    DiskInspection inspection{examine_disk(source), std::nullopt};
    if (!inspection.disk.refusal)
        inspection.guest = examine_guest(open_disk(source).device, reading, operation);
    return inspection;
}

ImageFindings examine_image(ImageSource& source, const ImageReading& reading, const OperationContext& operation) {
    ImageFindings findings;
    findings.content = read_image(source, reading.architecture);
    const bool is_verified = reading.check == ContentCheck::whole;
    if (is_verified)
        verify_content(source, findings.content, operation);
    findings.trust = is_verified ? ContentTrust::verified : trust_in_parts(source, findings.content);
    try {
        const DiskInImage disk = find_disk(source, findings.content, operation);
        findings.disk_path = disk.path;
        DiskSource named;
        named.path = escape_untrusted(disk.path);
        named.policy = reading.policy;
        findings.disk = examine_disk(disk.bytes, named);
        if (!findings.disk->refusal)
            findings.guest = examine_guest(open_disk(disk.bytes, named).device, reading.guest, operation);
    } catch (const Error& error) {
        // An image without a disk is still an image; a machine that fails is not a finding.
        if (error.kind() == ErrorKind::io || error.kind() == ErrorKind::cancelled ||
            error.kind() == ErrorKind::external)
            throw;
        findings.no_disk = error.what();
    }
    return findings;
}

ImageFindings inspect_image(const ImageReference& reference, const SourceRequest& request, ImageReading reading,
                            const OperationContext& operation) {
    const auto* named = std::get_if<RegistryReference>(&reference);
    if (named != nullptr)
        reading.guest.large_files = LargeFiles::leave;
    reading.policy = request.policy;
    const auto image = open_image_source(reference, operation, request.registry);
    ImageFindings findings = examine_image(*image, reading, operation);
    if (named != nullptr)
        findings.referrers =
            registry::list_registry_referrers(*named, findings.content.manifest.digest, request.registry, operation);
    return findings;
}

} // namespace vm2oci
