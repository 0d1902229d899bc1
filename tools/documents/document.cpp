#include "tools/documents/document.hpp"

#include "formats/base/version.hpp"

#include <nlohmann/json.hpp>

namespace vm2oci {

std::string document_text(const nlohmann::ordered_json& members) {
    nlohmann::ordered_json document = {{"schema_version", kSchemaVersion}};
    document.update(members);
    return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

} // namespace vm2oci
