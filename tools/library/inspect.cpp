#include "tools/flows/inspect.hpp"

#include "libconvert/package/architecture.hpp"
#include "tools/documents/document.hpp"
#include "tools/documents/inspection.hpp"
#include "tools/library/border.hpp"

#include <nlohmann/json.hpp>
#include <vm2oci/documents.hpp>
#include <vm2oci/inspect.hpp>

namespace vm2oci::v0 {
namespace {

nlohmann::ordered_json findings_of(const InspectRequest& request, const OperationContext& operation) {
    const Reference reference = parse_reference(request.source);
    const vm2oci::SourceRequest source = to_internal(request.source_options);
    const GuestReading guest{to_internal(request.access), LargeFiles::read};
    const ContentCheck check = content_check(request.source_options);
    if (const auto* disk = std::get_if<DiskReference>(&reference))
        return vm2oci::to_json(inspect_disk(*disk, source, guest, check, operation), request.source);
    ImageReading reading;
    if (!request.architecture.empty())
        reading.architecture = parse_wanted_platform(request.architecture);
    reading.guest = guest;
    reading.check = check;
    return vm2oci::to_json(inspect_image(std::get<ImageReference>(reference), source, std::move(reading), operation),
                           request.source);
}

} // namespace

Inspection inspect(const InspectRequest& request, const Operation& operation) {
    OperationBridge bridge(operation);
    // The values are those of the document, so that both say the same.
    return read_inspection(at_border([&] { return document_text(findings_of(request, bridge.context())); }));
}

} // namespace vm2oci::v0
