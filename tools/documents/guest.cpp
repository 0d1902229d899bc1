#include "tools/documents/inspection.hpp"

#include <nlohmann/json.hpp>

namespace vm2oci {

using Json = nlohmann::ordered_json;

Json guest_to_json(const GuestFindings& findings) {
    if (!findings.refusal.empty())
        return {{"refusal", findings.refusal}};
    Json json = to_json(findings.opened);
    json["guest"] = findings.opened.guest ? to_json(findings.info) : Json(nullptr);
    if (!findings.problems) {
        json["problems"] = nullptr;
        return json;
    }
    json["problems"] = Json::array();
    for (const BootProblem& problem : *findings.problems)
        json["problems"].push_back(
            {{"fix", problem.fix.empty() ? Json(nullptr) : Json(problem.fix)}, {"text", problem.text}});
    return json;
}

} // namespace vm2oci
