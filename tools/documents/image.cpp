#include "formats/base/escape.hpp"
#include "tools/documents/inspection.hpp"

#include <nlohmann/json.hpp>

namespace vm2oci {
namespace {

using Json = nlohmann::ordered_json;

Json pairs_to_json(const std::map<std::string, std::string>& pairs) {
    Json object = Json::object();
    for (const auto& [key, value] : pairs)
        object[escape_untrusted(key)] = escape_untrusted(value);
    return object;
}

Json strings_to_json(const std::vector<std::string>& texts) {
    Json array = Json::array();
    for (const std::string& text : texts)
        array.push_back(escape_untrusted(text));
    return array;
}

} // namespace

Json to_json(const ImageFindings& findings, const std::string& source) {
    const ImageContent& content = findings.content;
    Json image = {{"digest", content.manifest.digest.text()},
                  {"media_type", escape_untrusted(content.manifest.media_type)},
                  {"size", content.manifest.size},
                  {"annotations", pairs_to_json(content.parsed_manifest.annotations)}};
    if (content.top.digest != content.manifest.digest)
        image["index"] = content.top.digest.text();
    if (content.config) {
        const ImageConfig& config = *content.config;
        image["config"] = {{"digest", content.parsed_manifest.config.digest.text()},
                           {"os", escape_untrusted(config.platform.os)},
                           {"architecture", escape_untrusted(config.platform.architecture)},
                           {"created", escape_untrusted(config.created)},
                           {"entrypoint", strings_to_json(config.entrypoint)},
                           {"command", strings_to_json(config.command)},
                           {"environment", strings_to_json(config.environment)},
                           {"labels", pairs_to_json(config.labels)}};
    }
    Json layers = Json::array();
    for (std::size_t i = 0; i < content.parsed_manifest.layers.size(); ++i) {
        const Descriptor& layer = content.parsed_manifest.layers[i];
        Json entry = {
            {"digest", layer.digest.text()}, {"media_type", escape_untrusted(layer.media_type)}, {"size", layer.size}};
        if (content.config && i < content.config->diff_ids.size())
            entry["diff_id"] = content.config->diff_ids[i].text();
        layers.push_back(std::move(entry));
    }
    image["layers"] = std::move(layers);
    image["content"] = to_string(findings.trust);
    if (!findings.referrers.empty()) {
        Json referrers = Json::array();
        for (const Descriptor& referrer : findings.referrers)
            referrers.push_back({{"digest", referrer.digest.text()},
                                 {"media_type", escape_untrusted(referrer.media_type)},
                                 {"artifact_type", escape_untrusted(referrer.artifact_type)},
                                 {"size", referrer.size}});
        image["referrers"] = std::move(referrers);
    }
    Json document = {{"source", source}, {"image", std::move(image)}};
    if (findings.disk) {
        document["disk"] = disk_to_json(*findings.disk);
        document["disk"]["path"] = "/" + escape_untrusted(*findings.disk_path);
        if (!findings.further_disks.empty())
            document["disks"].push_back(document["disk"]);
        for (const DiskSeen& disk : findings.further_disks) {
            document["disks"].push_back(disk_to_json(disk.findings));
            document["disks"].back()["path"] = "/" + disk.name;
        }
        if (findings.hardware)
            document["machine"] = machine_to_json(*findings.hardware);
        document["inside"] = findings.guest ? guest_to_json(*findings.guest) : Json(nullptr);
    } else {
        document["no_disk"] = findings.no_disk;
    }
    return document;
}

} // namespace vm2oci
