// A document that a cluster is given: values, and comments for whoever reads them.
#pragma once

#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <vector>

namespace vm2oci {

struct ManifestDocument {
    nlohmann::ordered_json content;
    // By JSON pointer ("/spec/template"; of list elements "/disks/0"): what stands above that value, a line or more.
    std::map<std::string, std::string> comments{};

    void comment(const std::string& pointer, const std::string& text);
};

// YAML 1.2 that readers of YAML 1.1 understand alike: strings that they would take for something else ("on", "1e3",
// "0x1", "12:30") are quoted. Documents are parted by "---". Objects and arrays that are empty are written "{}", "[]";
// strings of several lines as literal blocks. Bytes that YAML does not hold must have been escaped.
std::string to_yaml(const std::vector<ManifestDocument>& documents);

} // namespace vm2oci
