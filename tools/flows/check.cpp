#include "tools/flows/check.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

std::vector<const Consumer*> concerned_consumers(const ImageFacts& facts) {
    std::vector<const Consumer*> concerned;
    for (const Consumer& consumer : consumers())
        if (consumer.concerns(facts))
            concerned.push_back(&consumer);
    return concerned;
}

} // namespace

bool ConsumerVerdict::works() const {
    return std::none_of(problems.begin(), problems.end(),
                        [](const Problem& problem) { return problem.severity == ProblemSeverity::error; });
}

bool CheckResult::all_work() const {
    return std::all_of(verdicts.begin(), verdicts.end(),
                       [](const ConsumerVerdict& verdict) { return verdict.works(); });
}

CheckResult check_image(const CheckRequest& request, const OperationContext& operation) {
    const auto source = open_image_source(request.image, operation, request.registry);
    const ImageFacts facts =
        gather_image_facts(*source, request.architecture, operation,
                           request.check == ContentCheck::whole ? LayerReading::whole : LayerReading::whole_if_local);
    if (facts.trust == ContentTrust::not_verified)
        operation.progress->note("the image's content is " + std::string(describe(facts.trust)));
    CheckResult result;
    result.trust = facts.trust;
    for (std::size_t i = 0; i < facts.layers.size(); ++i)
        if (!facts.layers[i].last_listed.empty())
            result.partly_listed.push_back(
                {facts.content.parsed_manifest.layers.at(i).digest, facts.layers[i].last_listed});
    for (const Consumer* consumer : request.consumers.empty() ? concerned_consumers(facts) : request.consumers)
        result.verdicts.push_back({consumer, consumer->check(facts)});
    return result;
}

} // namespace vm2oci
