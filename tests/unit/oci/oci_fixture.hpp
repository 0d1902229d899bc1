// What the tests of stores share: a folder of their own, and a small image.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/store.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

namespace vm2oci {

struct TestFolder {
    std::filesystem::path path;
    TestFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "vm2oci-oci-XXXXXX").string();
        path = ::mkdtemp(name.data());
    }
    ~TestFolder() { std::filesystem::remove_all(path); }
    TestFolder(const TestFolder&) = delete;
    TestFolder& operator=(const TestFolder&) = delete;
};

inline BlobIdentity put_blob(ImageDestination& destination, std::string_view content) {
    const std::unique_ptr<BlobWriter> writer = destination.begin_blob();
    writer->write(as_bytes(content));
    return writer->commit();
}

// One uncompressed layer that holds `content`, which need be no tar.
inline Descriptor put_image(ImageDestination& destination, std::string_view content,
                            const std::string& architecture = "amd64") {
    const BlobIdentity layer = put_blob(destination, content);
    ImageConfig config;
    config.platform.architecture = architecture;
    config.diff_ids = {layer.digest};
    const BlobIdentity config_blob = put_blob(destination, to_json(config));
    ImageManifest manifest;
    manifest.config = {.media_type = media_type::oci_config, .digest = config_blob.digest, .size = config_blob.size};
    manifest.layers = {{.media_type = media_type::oci_layer, .digest = layer.digest, .size = layer.size}};
    return destination.put_manifest(to_json(manifest), media_type::oci_manifest);
}

inline std::string read_all(const BlockDevice& device) {
    std::string text(device.size(), '\0');
    device.read_at(0, std::as_writable_bytes(std::span(text)));
    return text;
}

} // namespace vm2oci
