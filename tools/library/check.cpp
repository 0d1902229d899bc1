#include "tools/flows/check.hpp"

#include "formats/oci/verify.hpp"
#include "tools/library/border.hpp"

#include <vm2oci/check.hpp>

namespace vm2oci::v0 {

std::vector<ConsumerVerdict> check(const std::string& image, const std::vector<std::string>& consumers,
                                   const SourceOptions& source_options, const Operation& operation) {
    OperationBridge bridge(operation);
    return at_border([&] {
        CheckRequest request;
        request.image = image_reference(image);
        for (const std::string& name : consumers)
            request.consumers.push_back(&find_consumer(name));
        request.check = content_check(source_options);
        request.registry = to_internal(source_options.registry);
        std::vector<ConsumerVerdict> verdicts;
        for (const vm2oci::ConsumerVerdict& found : check_image(request, bridge.context()).verdicts) {
            ConsumerVerdict verdict{std::string(found.consumer->name), {}, found.works()};
            for (const Problem& problem : found.problems)
                verdict.problems.push_back(
                    {problem.severity == ProblemSeverity::error, problem.rule, problem.text, problem.remedy});
            verdicts.push_back(std::move(verdict));
        }
        return verdicts;
    });
}

Verification verify(const std::string& image, const RegistryOptions& registry, const Operation& operation) {
    OperationBridge bridge(operation);
    return at_border([&] {
        const OperationContext context = bridge.context();
        const auto source = open_image_source(image_reference(image), context, to_internal(registry));
        const VerifyReport report = verify_image(*source, context);
        Verification result;
        for (const Descriptor& one : report.images)
            result.digests.push_back(one.digest.text());
        const auto copy = [](const std::vector<VerifyFinding>& lines, std::vector<Mismatch>& to) {
            for (const VerifyFinding& line : lines)
                to.push_back({line.where, line.problem});
        };
        copy(report.findings, result.mismatches);
        copy(report.unjudged, result.unjudged);
        copy(report.remarks, result.remarks);
        result.manifests = report.manifests;
        result.blobs = report.blobs;
        result.stored_bytes = report.stored_bytes;
        result.content_bytes = report.content_bytes;
        return result;
    });
}

} // namespace vm2oci::v0
