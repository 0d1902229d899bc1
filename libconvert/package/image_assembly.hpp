// Layers that are stored already become an image: its config and manifest.
#pragma once

#include "formats/oci/image.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/store.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace vm2oci {

// What users say of an image, whatever is in it.
struct ImageOptions {
    std::string architecture; // GOARCH
    std::int64_t created = 0; // seconds since the epoch
    std::map<std::string, std::string> labels;
    Annotations annotations;
    std::vector<std::string> environment; // "NAME=value"
};

// What the kind of image adds. Users' labels, annotations and variables win over these.
struct ImageContents {
    std::string title;
    std::string created_by; // for the history, such as "vm2oci convert"
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::string stop_signal; // "": the runtime's default
    std::map<std::string, std::string> labels;
    Annotations annotations;
    std::vector<std::string> environment;
    std::vector<StoredLayer> layers; // lowest first
};

// Stores config and manifest; returns the manifest's descriptor, with its platform.
Descriptor assemble_image(const ImageOptions& options, const ImageContents& contents, ImageDestination& destination);

} // namespace vm2oci
