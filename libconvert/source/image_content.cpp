#include "libconvert/source/image_content.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/oci/select.hpp"
#include "formats/tree/tar_reader.hpp"
#include "libconvert/source/content_verifier.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 4 * MiB; // as manifests; real ones have a few KiB

std::optional<ImageConfig> read_config(ImageSource& source, const Descriptor& config) {
    if (config.media_type != media_type::oci_config && config.media_type != media_type::docker_config)
        return std::nullopt;
    const auto blob = source.open_blob(config);
    if (blob->size() != config.size || config.size > kMaxConfigBytes)
        fail(ErrorKind::corrupt, "the image's configuration has another size than its manifest says");
    std::string text(blob->size(), '\0');
    blob->read_at(0, std::as_writable_bytes(std::span(text)));
    if (Digest::of(text) != config.digest)
        fail(ErrorKind::corrupt, "the image's configuration does not have the digest that its manifest says");
    return parse_config(text);
}

bool is_in_disk_folder(const TarMember& member) {
    constexpr std::string_view folder = "disk/";
    const std::string_view name = std::string_view(member.path).substr(std::min(folder.size(), member.path.size()));
    return member.path.starts_with(folder) && name.find('/') == std::string_view::npos && !name.starts_with(".wh.");
}

// The files of one layer that lie in /disk, with whatever type they have.
std::vector<TarMember> disk_members(const LayerContent& content) {
    std::vector<TarMember> members;
    TarReader reader(content);
    while (auto member = reader.next())
        if (is_in_disk_folder(*member))
            members.push_back(*std::move(member));
    return members;
}

std::shared_ptr<const LayerContent> open_layer(ImageSource& source, const ImageContent& image, const Descriptor& layer,
                                               const OperationContext& operation) {
    if (image.verifier)
        return image.verifier->open(source, layer, operation);
    return open_layer_of(open_sized_blob(source, layer), layer, operation);
}

} // namespace

ImageContent read_image(ImageSource& source, const std::string& architecture) {
    ImageContent image;
    image.top = source.resolve();
    image.manifest = select_manifest(source, image.top, architecture);
    image.parsed_manifest = parse_manifest(source.read_manifest(image.manifest));
    image.config = read_config(source, image.parsed_manifest.config);
    return image;
}

DiskInImage find_disk(ImageSource& source, const ImageContent& image, const OperationContext& operation) {
    const std::vector<Descriptor>& layers = image.parsed_manifest.layers;
    for (std::size_t i = layers.size(); i-- > 0;) { // a higher layer hides what lower ones have under the same name
        const std::shared_ptr<const LayerContent> content = open_layer(source, image, layers[i], operation);
        const std::vector<TarMember> members = disk_members(*content);
        if (members.empty())
            continue;
        if (members.size() > 1)
            fail(ErrorKind::unsupported,
                 fmt::format("the image holds {} files under /disk, and a containerDisk holds one", members.size()));
        const TarMember& disk = members.front();
        if (disk.type != TarType::regular)
            fail(ErrorKind::unsafe, quote_untrusted(disk.path) + " in the image is not a regular file");
        return {disk.path, i, content_stretch(content, disk.content_offset, disk.content_size)};
    }
    fail(ErrorKind::not_found, "the image holds no disk under /disk");
}

std::shared_ptr<const BlockDevice> find_file(ImageSource& source, const ImageContent& image, std::string_view path,
                                             const OperationContext& operation) {
    const std::vector<Descriptor>& layers = image.parsed_manifest.layers;
    for (std::size_t i = layers.size(); i-- > 0;) {
        const std::shared_ptr<const LayerContent> content = open_layer(source, image, layers[i], operation);
        TarReader reader(*content);
        while (const auto member = reader.next()) {
            if (member->path != path)
                continue;
            if (member->type != TarType::regular)
                fail(ErrorKind::unsafe, quote_untrusted(path) + " in the image is not a regular file");
            return content_stretch(content, member->content_offset, member->content_size);
        }
    }
    fail(ErrorKind::not_found, "the image holds no file " + quote_untrusted(path));
}

} // namespace vm2oci
