// What cloud-init would pass over or trip over in configuration that is YAML: keys that it does not know, values of the
// wrong kind. It warns of these in a log inside of the machine; here they are remarks before there is a machine.
#pragma once

#include "libconvert/edit/yaml.hpp"

#include <string>
#include <vector>

namespace vm2oci {

// Top-level keys and the common modules, by cloud-init's schema-cloud-config-v1.json. Each remark is one line, escaped.
std::vector<std::string> cloud_config_remarks(const YamlValue& root);
// By schema-network-config-v1.json, and by netplan's keys for version 2.
std::vector<std::string> network_config_remarks(const YamlValue& root);

} // namespace vm2oci
