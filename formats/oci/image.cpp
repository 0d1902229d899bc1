#include "formats/oci/image.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/json.hpp"

#include <fmt/format.h>

namespace vm2oci {
namespace {

using nlohmann::json;

json parse_document(std::string_view text, std::string_view what) {
    json document = parse_untrusted_json(text, what);
    if (!document.is_object())
        fail(ErrorKind::corrupt, fmt::format("{} is not a JSON object", what));
    return document;
}

void check_schema_version(const json& document, std::string_view what) {
    if (required_unsigned(document, "schemaVersion", what) != 2)
        fail(ErrorKind::unsupported, fmt::format("{} has a schemaVersion other than 2", what));
}

std::vector<Descriptor> required_descriptors(const json& document, const char* name, std::string_view what) {
    const json* list = find_field(document, name);
    if (list == nullptr || !list->is_array())
        fail(ErrorKind::corrupt, fmt::format("{}: \"{}\" is missing or not a list", what, name));
    std::vector<Descriptor> descriptors;
    descriptors.reserve(list->size());
    for (const json& item : *list)
        descriptors.push_back(descriptor_from_json(item, fmt::format("{}, {}[{}]", what, name, descriptors.size())));
    return descriptors;
}

std::optional<Descriptor> optional_subject(const json& document, std::string_view what) {
    const json* subject = find_field(document, "subject");
    if (subject == nullptr)
        return std::nullopt;
    return descriptor_from_json(*subject, fmt::format("{}, subject", what));
}

json descriptor_list(const std::vector<Descriptor>& descriptors) {
    json list = json::array();
    for (const Descriptor& descriptor : descriptors)
        list.push_back(to_json_value(descriptor));
    return list;
}

void put_unless_empty(json& object, const char* name, const auto& value) {
    if (!value.empty())
        object[name] = value;
}

template <class Document>
json common_fields(const Document& document) {
    json value = {{"schemaVersion", 2}, {"mediaType", document.media_type}};
    put_unless_empty(value, "artifactType", document.artifact_type);
    if (document.subject)
        value["subject"] = to_json_value(*document.subject);
    put_unless_empty(value, "annotations", document.annotations);
    return value;
}

HistoryEntry history_entry(const json& item, std::string_view what) {
    if (!item.is_object())
        fail(ErrorKind::corrupt, fmt::format("{}: \"history\" is not a list of objects", what));
    HistoryEntry entry{.created = optional_string(item, "created", what),
                       .created_by = optional_string(item, "created_by", what),
                       .author = optional_string(item, "author", what),
                       .comment = optional_string(item, "comment", what)};
    if (const json* empty = find_field(item, "empty_layer")) {
        if (!empty->is_boolean())
            fail(ErrorKind::corrupt, fmt::format("{}: \"empty_layer\" is neither true nor false", what));
        entry.empty_layer = empty->get<bool>();
    }
    return entry;
}

std::int64_t optional_duration(const json& object, const char* name, std::string_view what) {
    const json* value = find_field(object, name);
    if (value == nullptr)
        return 0;
    if (!value->is_number_integer() || value->get<std::int64_t>() < 0)
        fail(ErrorKind::corrupt, fmt::format("{}: \"{}\" of the health check is no number", what, name));
    return value->get<std::int64_t>();
}

std::optional<ImageHealthCheck> optional_health_check(const json& settings, std::string_view what) {
    const json* value = find_field(settings, "Healthcheck");
    if (value == nullptr)
        return std::nullopt;
    if (!value->is_object())
        fail(ErrorKind::corrupt, fmt::format("{}: \"Healthcheck\" is not an object", what));
    return ImageHealthCheck{.test = optional_strings(*value, "Test", what),
                            .interval = optional_duration(*value, "Interval", what),
                            .timeout = optional_duration(*value, "Timeout", what),
                            .start_period = optional_duration(*value, "StartPeriod", what),
                            .start_interval = optional_duration(*value, "StartInterval", what),
                            .retries = optional_duration(*value, "Retries", what)};
}

std::vector<std::string> optional_keys(const json& object, const char* name, std::string_view what) {
    std::vector<std::string> keys;
    const json* value = find_field(object, name);
    if (value == nullptr)
        return keys;
    if (!value->is_object())
        fail(ErrorKind::corrupt, fmt::format("{}: \"{}\" is not an object", what, name));
    for (const auto& item : value->items())
        keys.push_back(item.key());
    return keys;
}

} // namespace

bool is_index(std::string_view media_type) {
    return media_type == media_type::oci_index || media_type == media_type::docker_list;
}

bool is_manifest(std::string_view media_type) {
    return media_type == media_type::oci_manifest || media_type == media_type::docker_manifest;
}

ImageManifest parse_manifest(std::string_view text) {
    constexpr std::string_view what = "the manifest";
    const json document = parse_document(text, what);
    check_schema_version(document, what);
    // A document that is both would mean one image to us and another to the next reader (CVE-2021-41190).
    if (find_field(document, "manifests") != nullptr)
        fail(ErrorKind::corrupt, "the manifest has \"manifests\", as an index has");
    ImageManifest manifest;
    if (std::string type = optional_string(document, "mediaType", what); !type.empty())
        manifest.media_type = std::move(type);
    if (!is_manifest(manifest.media_type))
        fail(ErrorKind::unsupported, fmt::format("{} says that it is {}", what, quote_untrusted(manifest.media_type)));
    manifest.artifact_type = optional_string(document, "artifactType", what);
    const json* config = find_field(document, "config");
    if (config == nullptr)
        fail(ErrorKind::corrupt, "the manifest: \"config\" is missing");
    manifest.config = descriptor_from_json(*config, "the manifest, config");
    manifest.layers = required_descriptors(document, "layers", what);
    manifest.subject = optional_subject(document, what);
    manifest.annotations = optional_string_map(document, "annotations", what);
    return manifest;
}

ImageIndex parse_index(std::string_view text) {
    constexpr std::string_view what = "the index";
    const json document = parse_document(text, what);
    check_schema_version(document, what);
    if (find_field(document, "layers") != nullptr || find_field(document, "config") != nullptr)
        fail(ErrorKind::corrupt, "the index has \"layers\" or \"config\", as a manifest has");
    ImageIndex index;
    if (std::string type = optional_string(document, "mediaType", what); !type.empty())
        index.media_type = std::move(type);
    if (!is_index(index.media_type))
        fail(ErrorKind::unsupported, fmt::format("{} says that it is {}", what, quote_untrusted(index.media_type)));
    index.artifact_type = optional_string(document, "artifactType", what);
    index.manifests = required_descriptors(document, "manifests", what);
    index.subject = optional_subject(document, what);
    index.annotations = optional_string_map(document, "annotations", what);
    return index;
}

ImageConfig parse_config(std::string_view text) {
    constexpr std::string_view what = "the image config";
    const json document = parse_document(text, what);
    ImageConfig config;
    config.platform = {.architecture = required_string(document, "architecture", what),
                       .os = required_string(document, "os", what),
                       .variant = optional_string(document, "variant", what)};
    config.created = optional_string(document, "created", what);
    config.author = optional_string(document, "author", what);
    if (const json* settings = find_field(document, "config")) {
        if (!settings->is_object())
            fail(ErrorKind::corrupt, "the image config: \"config\" is not an object");
        config.user = optional_string(*settings, "User", what);
        config.environment = optional_strings(*settings, "Env", what);
        config.entrypoint = optional_strings(*settings, "Entrypoint", what);
        config.command = optional_strings(*settings, "Cmd", what);
        config.working_directory = optional_string(*settings, "WorkingDir", what);
        config.stop_signal = optional_string(*settings, "StopSignal", what);
        config.volumes = optional_keys(*settings, "Volumes", what);
        config.shell = optional_strings(*settings, "Shell", what);
        config.health_check = optional_health_check(*settings, what);
        config.labels = optional_string_map(*settings, "Labels", what);
    }
    const json* rootfs = find_field(document, "rootfs");
    if (rootfs == nullptr || !rootfs->is_object())
        fail(ErrorKind::corrupt, "the image config: \"rootfs\" is missing or not an object");
    if (required_string(*rootfs, "type", what) != "layers")
        fail(ErrorKind::unsupported, "the image config: \"rootfs\" is of another type than \"layers\"");
    if (find_field(*rootfs, "diff_ids") == nullptr)
        fail(ErrorKind::corrupt, "the image config: \"diff_ids\" is missing");
    for (const std::string& diff_id : optional_strings(*rootfs, "diff_ids", what))
        config.diff_ids.push_back(with_context("the image config, diff_ids", [&] { return Digest::parse(diff_id); }));
    if (const json* history = find_field(document, "history")) {
        if (!history->is_array())
            fail(ErrorKind::corrupt, "the image config: \"history\" is not a list of objects");
        for (const json& item : *history)
            config.history.push_back(history_entry(item, what));
    }
    return config;
}

std::string to_json(const ImageManifest& manifest) {
    json value = common_fields(manifest);
    value["config"] = to_json_value(manifest.config);
    value["layers"] = descriptor_list(manifest.layers);
    return canonical_json(value);
}

std::string to_json(const ImageIndex& index) {
    json value = common_fields(index);
    value["manifests"] = descriptor_list(index.manifests);
    return canonical_json(value);
}

std::string to_json(const ImageConfig& config) {
    json settings = json::object();
    put_unless_empty(settings, "User", config.user);
    put_unless_empty(settings, "Env", config.environment);
    put_unless_empty(settings, "Entrypoint", config.entrypoint);
    put_unless_empty(settings, "Cmd", config.command);
    put_unless_empty(settings, "WorkingDir", config.working_directory);
    put_unless_empty(settings, "StopSignal", config.stop_signal);
    put_unless_empty(settings, "Shell", config.shell);
    for (const std::string& volume : config.volumes)
        settings["Volumes"][volume] = json::object();
    if (config.health_check) {
        const ImageHealthCheck& check = *config.health_check;
        settings["Healthcheck"] = {{"Test", check.test}};
        for (const auto& [name, value] : {std::pair{"Interval", check.interval},
                                          {"Timeout", check.timeout},
                                          {"StartPeriod", check.start_period},
                                          {"StartInterval", check.start_interval},
                                          {"Retries", check.retries}})
            if (value != 0)
                settings["Healthcheck"][name] = value;
    }
    put_unless_empty(settings, "Labels", config.labels);
    json diff_ids = json::array();
    for (const Digest& diff_id : config.diff_ids)
        diff_ids.push_back(diff_id.text());
    json value = {{"architecture", config.platform.architecture},
                  {"os", config.platform.os},
                  {"config", settings},
                  {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
    put_unless_empty(value, "variant", config.platform.variant);
    put_unless_empty(value, "created", config.created);
    put_unless_empty(value, "author", config.author);
    if (!config.history.empty()) {
        json history = json::array();
        for (const HistoryEntry& entry : config.history) {
            json item = json::object();
            put_unless_empty(item, "created", entry.created);
            put_unless_empty(item, "created_by", entry.created_by);
            put_unless_empty(item, "author", entry.author);
            put_unless_empty(item, "comment", entry.comment);
            if (entry.empty_layer)
                item["empty_layer"] = true;
            history.push_back(item);
        }
        value["history"] = history;
    }
    return canonical_json(value);
}

} // namespace vm2oci
