// The documents of an image (image-spec: manifest.md, image-index.md, config.md) as values.
//
// Parsing refuses what is ambiguous or incomplete (Error{corrupt}: missing or mistyped fields, repeated keys, deep
// nesting; Error{limit} above 4 MiB) and ignores fields that it does not know: an image is copied as bytes, never by
// printing a parsed value. Printing is canonical: one text for one value.
#pragma once

#include "formats/oci/descriptor.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

struct ImageManifest {
    std::string media_type = media_type::oci_manifest;
    std::string artifact_type;
    Descriptor config;
    std::vector<Descriptor> layers;
    std::optional<Descriptor> subject;
    Annotations annotations;
};

struct ImageIndex {
    std::string media_type = media_type::oci_index;
    std::string artifact_type;
    std::vector<Descriptor> manifests;
    std::optional<Descriptor> subject;
    Annotations annotations;
};

struct HistoryEntry {
    std::string created{}; // RFC 3339; "": not said
    std::string created_by{};
    std::string author{};
    std::string comment{};
    bool empty_layer = false; // the step made no layer
};

// How a program is asked whether it is well (docker's extension of the configuration).
struct ImageHealthCheck {
    std::vector<std::string> test{}; // "NONE", "CMD" and a program, or "CMD-SHELL" and a line
    std::int64_t interval = 0;       // nanoseconds; 0: the runtime's default; as are all that follow
    std::int64_t timeout = 0;
    std::int64_t start_period = 0;
    std::int64_t start_interval = 0; // within the start period
    std::int64_t retries = 0;
};

struct ImageConfig {
    Platform platform;
    std::string created; // RFC 3339; "": not said
    std::string author;
    std::string user;
    std::vector<std::string> environment; // "NAME=value", order kept
    std::vector<std::string> entrypoint;
    std::vector<std::string> command;
    std::string working_directory;
    std::string stop_signal;          // "SIGRTMIN+3"; "": the runtime's default
    std::vector<std::string> volumes; // folders that keep what is written there
    std::vector<std::string> shell;   // what runs a line, as of a health check; empty: /bin/sh -c
    std::optional<ImageHealthCheck> health_check;
    std::map<std::string, std::string> labels;
    std::vector<Digest> diff_ids; // lowest layer first
    std::vector<HistoryEntry> history;
};

ImageManifest parse_manifest(std::string_view text);
ImageIndex parse_index(std::string_view text);
ImageConfig parse_config(std::string_view text);

std::string to_json(const ImageManifest& manifest);
std::string to_json(const ImageIndex& index);
std::string to_json(const ImageConfig& config);

// By media type; both the OCI and the Docker names.
bool is_index(std::string_view media_type);
bool is_manifest(std::string_view media_type);

} // namespace vm2oci
