#include "tools/documents/document.hpp"

#include "formats/base/version.hpp"

#include <nlohmann/json.hpp>

namespace vm2oci {

std::string document_text(const nlohmann::ordered_json& members) {
    nlohmann::ordered_json document = {{"schema_version", kSchemaVersion}};
    document.update(members);
    return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

nlohmann::ordered_json hint_to_json(const Hint& hint) {
    if (hint.kind == HintKind::none)
        return nullptr;
    return {{"kind", to_string(hint.kind)}, {"argument", hint.argument}};
}

} // namespace vm2oci
