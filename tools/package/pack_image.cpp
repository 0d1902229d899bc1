// A tar becomes an OCI image of one layer, by vm2oci's own writer: what tools/image.sh makes vm2oci's own image with.
//
//   pack_image DESCRIPTION LAYOUT TAG < TAR
//
// DESCRIPTION is a text of lines "KEY VALUE": architecture, created (seconds since 1970), created-by, user, directory,
// and, as often as they are needed, env NAME=VALUE, entrypoint WORD, command WORD, label NAME=VALUE. "sbom FILE" is a
// document in SPDX, which becomes an artifact whose subject is the image. Prints the image's digest.
#include "formats/base/error.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/layout.hpp"
#include "libconvert/package/timestamp.hpp"

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::size_t kPiece = 1 << 20;
constexpr int kLevel = 9; // of gzip, which every runtime reads: the image is packed once and fetched often
constexpr const char* kSpdx = "application/spdx+json";
constexpr const char* kEmptyType = "application/vnd.oci.empty.v1+json"; // image-spec, manifest.md

struct Description {
    ImageConfig config;
    std::int64_t created = 0;
    std::string created_by;
    std::string sbom_file; // "": none
};

Description read_description(const std::string& path) {
    std::ifstream file(path);
    if (!file)
        fail(ErrorKind::not_found, "cannot read " + path);
    Description result;
    for (std::string line; std::getline(file, line);) {
        const std::size_t space = line.find(' ');
        if (space == std::string::npos)
            fail(ErrorKind::usage, "a line without a value: " + line);
        const std::string key = line.substr(0, space);
        const std::string value = line.substr(space + 1);
        if (key == "architecture")
            result.config.platform.architecture = value;
        else if (key == "created")
            result.created = std::stoll(value);
        else if (key == "created-by")
            result.created_by = value;
        else if (key == "user")
            result.config.user = value;
        else if (key == "directory")
            result.config.working_directory = value;
        else if (key == "env")
            result.config.environment.push_back(value);
        else if (key == "entrypoint")
            result.config.entrypoint.push_back(value);
        else if (key == "command")
            result.config.command.push_back(value);
        else if (key == "label" && value.find('=') != std::string::npos)
            result.config.labels[value.substr(0, value.find('='))] = value.substr(value.find('=') + 1);
        else if (key == "sbom")
            result.sbom_file = value;
        else
            fail(ErrorKind::usage, "not known: " + line);
    }
    return result;
}

StoredLayer store_layer(std::istream& tar, ImageDestination& destination) {
    LayerWriter layer(destination, CompressionSpec{Compression::gzip, kLevel}, OperationContext{});
    std::vector<char> piece(kPiece);
    while (tar.read(piece.data(), static_cast<std::streamsize>(piece.size())), tar.gcount() > 0)
        layer.write(std::as_bytes(std::span(piece.data(), static_cast<std::size_t>(tar.gcount()))));
    return layer.finish();
}

Descriptor store_text(const std::string& text, const std::string& type, ImageDestination& destination) {
    const auto writer = destination.begin_blob();
    writer->write(std::as_bytes(std::span(text.data(), text.size())));
    const BlobIdentity blob = writer->commit();
    Descriptor descriptor;
    descriptor.media_type = type;
    descriptor.digest = blob.digest;
    descriptor.size = blob.size;
    return descriptor;
}

// As image-spec, manifest.md ("Guidelines for Artifact Usage") has it.
void store_sbom(const std::string& file, const Descriptor& image, ImageDestination& destination) {
    std::ifstream stream(file);
    if (!stream)
        fail(ErrorKind::not_found, "cannot read " + file);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    ImageManifest manifest;
    manifest.artifact_type = kSpdx;
    manifest.config = store_text("{}", kEmptyType, destination);
    manifest.layers.push_back(store_text(text, kSpdx, destination));
    manifest.subject = image;
    manifest.subject->platform.reset();
    const Descriptor stored = destination.put_manifest(to_json(manifest), media_type::oci_manifest);
    // Under the tag by which readers of layouts and of registries without an API for referrers find it.
    ImageIndex index;
    index.manifests.push_back(stored);
    index.manifests.back().artifact_type = kSpdx;
    const Descriptor list = destination.put_manifest(to_json(index), media_type::oci_index);
    destination.publish_together(image, {{"sha256-" + image.digest.hex(), list}});
}

void pack(const std::string& description_file, const std::string& layout, const std::string& tag) {
    Description description = read_description(description_file);
    OciLayoutDestination destination(layout, tag);
    const StoredLayer layer = store_layer(std::cin, destination);

    description.config.created = format_timestamp(description.created);
    description.config.diff_ids = {layer.diff_id};
    description.config.history = {{description.config.created, description.created_by, {}, {}, false}};
    ImageManifest manifest;
    manifest.config = store_text(to_json(description.config), media_type::oci_config, destination);
    manifest.layers = {layer.descriptor};
    Descriptor image = destination.put_manifest(to_json(manifest), media_type::oci_manifest);
    image.platform = description.config.platform;
    if (description.sbom_file.empty())
        destination.publish(image);
    else
        store_sbom(description.sbom_file, image, destination);
    std::cout << image.digest.text() << std::endl;
}

} // namespace
} // namespace vm2oci

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: pack_image DESCRIPTION LAYOUT TAG < TAR" << std::endl;
        return 2;
    }
    try {
        vm2oci::pack(argv[1], argv[2], argv[3]);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "pack_image: " << error.what() << std::endl;
        return 1;
    }
}
