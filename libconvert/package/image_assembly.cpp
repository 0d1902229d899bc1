#include "libconvert/package/image_assembly.hpp"

#include "formats/base/fd.hpp"
#include "formats/base/version.hpp"
#include "formats/oci/labels.hpp"
#include "libconvert/package/timestamp.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

std::string_view variable_name(std::string_view variable) {
    return variable.substr(0, variable.find('='));
}

// In the order of `base`, each replaced by the user's variable of the same name; the user's other ones follow.
std::vector<std::string> merge_environment(std::vector<std::string> base, const std::vector<std::string>& users) {
    for (const std::string& variable : users) {
        const auto same = std::find_if(base.begin(), base.end(), [&](const std::string& other) {
            return variable_name(other) == variable_name(variable);
        });
        if (same != base.end())
            *same = variable;
        else
            base.push_back(variable);
    }
    return base;
}

std::map<std::string, std::string> merge(const std::map<std::string, std::string>& base,
                                         const std::map<std::string, std::string>& users) {
    std::map<std::string, std::string> merged = users;
    merged.insert(base.begin(), base.end()); // keeps what is there
    return merged;
}

Descriptor store_config(const ImageConfig& config, ImageDestination& destination) {
    const std::string text = to_json(config);
    const auto writer = destination.begin_blob();
    writer->write(as_bytes(text));
    const BlobIdentity blob = writer->commit();
    Descriptor descriptor;
    descriptor.media_type = media_type::oci_config;
    descriptor.digest = blob.digest;
    descriptor.size = blob.size;
    return descriptor;
}

} // namespace

Descriptor assemble_image(const ImageOptions& options, const ImageContents& contents, ImageDestination& destination) {
    const std::string created = format_timestamp(options.created);

    ImageConfig config;
    config.platform.architecture = options.architecture;
    config.created = created;
    config.environment = merge_environment(contents.environment, options.environment);
    config.entrypoint = contents.entrypoint;
    config.command = contents.command;
    config.stop_signal = contents.stop_signal;
    config.labels = merge(contents.labels, options.labels);
    for (const StoredLayer& layer : contents.layers) {
        config.diff_ids.push_back(layer.diff_id);
        config.history.push_back({created, contents.created_by, {}, {}, false});
    }

    ImageManifest manifest;
    manifest.config = store_config(config, destination);
    for (const StoredLayer& layer : contents.layers)
        manifest.layers.push_back(layer.descriptor);
    Annotations standard = contents.annotations;
    standard[label::oci_created] = created;
    standard[label::oci_title] = contents.title;
    standard[label::version] = version();
    manifest.annotations = merge(standard, options.annotations);

    Descriptor top = destination.put_manifest(to_json(manifest), media_type::oci_manifest);
    top.platform = config.platform;
    return top;
}

} // namespace vm2oci
