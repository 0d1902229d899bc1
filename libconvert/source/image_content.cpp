#include "libconvert/source/image_content.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/block/detect.hpp"
#include "formats/block/scattered.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/oci/labels.hpp"
#include "formats/oci/select.hpp"
#include "formats/tree/tar_reader.hpp"
#include "libconvert/package/machine_labels.hpp"
#include "libconvert/package/vm_artifact.hpp"
#include "libconvert/source/content_verifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 4 * MiB; // as manifests; real ones have a few KiB

std::optional<ImageConfig> read_config(ImageSource& source, const Descriptor& config) {
    if (config.media_type != media_type::oci_config && config.media_type != media_type::docker_config)
        return std::nullopt;
    return parse_config(read_small_blob(source, config, "the image's configuration"));
}

// Labels of the configuration, and annotations of the manifest, which win.
std::map<std::string, std::string> labels_of(const ImageContent& image) {
    std::map<std::string, std::string> labels(image.parsed_manifest.annotations.begin(),
                                              image.parsed_manifest.annotations.end());
    if (image.config)
        labels.insert(image.config->labels.begin(), image.config->labels.end());
    return labels;
}

// kubevirt/containerized-data-importer, pkg/importer/transport.go: by the name as it is stored, with no slash behind
// "disk"; the first that is no folder, whatever else it is.
bool importer_takes(const TarMember& member) {
    const std::string_view name = member.stored_path;
    const std::size_t last = member.path.rfind('/') + 1; // 0 without a slash
    return (name.starts_with("disk") || name.starts_with("./disk")) && member.type != TarType::directory &&
           !std::string_view(member.path).substr(last).starts_with(".wh.");
}

// What makes a layer that is decoded from its beginning dear to list: a disk, where systems that run disks look for it.
bool is_large_disk(const TarMember& member) {
    constexpr std::uint64_t cheap = 16 * MiB; // decoded in a fraction of a second
    return member.type == TarType::regular && member.stored_size() > cheap &&
           (importer_takes(member) || member.path.starts_with("base_image/"));
}

constexpr std::size_t kNamedLayers = 4; // in a message
constexpr std::string_view kTitle = label::oci_title;

std::string title_of(const Descriptor& layer) {
    const auto found = layer.annotations.find(std::string(kTitle));
    return found == layer.annotations.end() ? "" : found->second;
}

// "of type application/x, titled "name""
std::string description_of(const Descriptor& layer) {
    const std::string title = title_of(layer);
    return "of type " + quote_untrusted(layer.media_type) + (title.empty() ? "" : ", titled " + quote_untrusted(title));
}

// What the layers of an artifact are, for a message.
std::string describe_layers(const std::vector<Descriptor>& layers) {
    std::string text;
    for (std::size_t i = 0; i < layers.size() && i < kNamedLayers; ++i)
        text += (i == 0 ? "one is " : "; one is ") + description_of(layers[i]);
    return text.empty() ? "it has no layers" : text;
}

bool is_tar_type(const Descriptor& layer) {
    const std::string_view type = layer.media_type;
    return type.ends_with(".tar") || type.ends_with(".tar+gzip") || type.ends_with(".tar+zstd") ||
           type.ends_with(".tar.gzip") || type.ends_with(".tar.zstd");
}

// By the bytes: writers of artifacts give any type to anything. Zeros alone are a tar without members if they are few,
// and the head of a disk otherwise.
bool is_tar(const LayerContent& content) {
    std::array<std::byte, kTarBlock> head{};
    const std::size_t length = content.read_some_at(0, head);
    if (length < head.size())
        return length == 0;
    if (is_zero(head)) {
        constexpr std::uint64_t largest_empty_tar = 20 * kTarBlock;
        std::byte beyond{};
        return content.read_some_at(largest_empty_tar, {&beyond, 1}) == 0;
    }
    try {
        return TarReader(content).next().has_value();
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt)
            throw;
        return false;
    }
}

std::shared_ptr<const LayerContent> open_layer(ImageSource& source, const ImageContent& image, const Descriptor& layer,
                                               const OperationContext& operation) {
    if (image.verifier)
        return image.verifier->open(source, layer, operation);
    return open_layer_of(open_sized_blob(source, layer), layer, operation);
}

void require_regular(const std::string& path, const LayeredFile& file) {
    if (file.type == TarType::regular)
        return;
    std::string what = "is not a regular file";
    if (file.type == TarType::symlink)
        what = "is a symlink to " + quote_untrusted(file.link_target) + ", which is not followed";
    else if (file.type == TarType::hard_link)
        what = "is a hard link to " + quote_untrusted(file.link_target) + ", which its layer does not hold";
    fail(ErrorKind::unsafe, quote_untrusted(path) + " in the image " + what);
}

bool names_a_disk(const Descriptor& layer) {
    std::string title = title_of(layer);
    for (const std::string_view ending : {".gz", ".zst", ".zstd", ".xz"})
        if (title.ends_with(ending))
            title.resize(title.size() - ending.size());
    for (const std::string_view ending : {".raw", ".img", ".qcow2", ".qcow", ".vmdk", ".vhd", ".vhdx", ".vdi"})
        if (title.ends_with(ending))
            return true;
    return layer.media_type.starts_with("application/vnd.kubevirt.disk.") ||
           layer.media_type.find("qcow2") != std::string::npos;
}

// By what stands at its head, so that what is no disk is not decoded to its end.
bool begins_like_a_disk(const std::shared_ptr<const LayerContent>& content) {
    std::vector<std::byte> head(64 * KiB);
    const std::size_t length = content->read_some_at(0, head);
    const Detection detection = detect(*content_range(content, 0, length));
    return std::ranges::any_of(detection.matches, [](const FormatMatch& match) { return match.format.has_value(); }) ||
           (detection.matches.empty() && !detection.raw_signs.empty());
}

MachineInImage machine_of_artifact(ImageSource& source, const ImageContent& image, const OperationContext& operation) {
    const ImageManifest& manifest = image.parsed_manifest;
    const std::string described = read_small_blob(source, manifest.config, "the artifact's VirtualMachine");
    MachineInImage machine{{}, hardware_of_virtual_machine(described)};
    for (const MachineDiskLayer& disk : disks_of_vm_artifact(manifest, described)) {
        const auto content = open_layer(source, image, manifest.layers[disk.layer], operation);
        if (disk.size && *disk.size != content->size())
            fail(ErrorKind::corrupt, fmt::format("disk {} of the artifact has {} bytes, and the artifact says {}",
                                                 quote_untrusted(disk.name), content->size(), *disk.size));
        machine.disks.push_back({disk.name, disk.layer, content_range(content, 0, content->size()), DiskFormat::raw});
    }
    return machine;
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

std::optional<DiskInImage> find_artifact_disk(ImageSource& source, const ImageContent& image,
                                              const OperationContext& operation) {
    if (image.config)
        return std::nullopt;
    std::optional<DiskInImage> disk;
    const std::vector<Descriptor>& layers = image.parsed_manifest.layers;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        operation.check_cancelled();
        const Descriptor& layer = layers[i];
        const std::shared_ptr<const LayerContent> content = open_layer(source, image, layer, operation);
        if (is_tar_type(layer) && is_tar(*content))
            return std::nullopt;
        if (!names_a_disk(layer) && !begins_like_a_disk(content))
            continue;
        if (disk)
            fail(ErrorKind::unsupported, "the artifact holds several disks, and nothing says which one is meant");
        const std::string title = title_of(layer);
        disk = DiskInImage{title.empty() ? layer.digest.text() : title, i, content_range(content, 0, content->size()),
                           std::nullopt};
    }
    if (!disk)
        fail(ErrorKind::unsupported,
             "the image is an artifact, and none of its layers is a disk: " + describe_layers(layers));
    return disk;
}

ImageFiles::ImageFiles(ImageSource& source, const ImageContent& image, const OperationContext& operation,
                       LayerListing listing) {
    for (const Descriptor& layer : image.parsed_manifest.layers) {
        operation.check_cancelled();
        layers_.push_back(open_layer(source, image, layer, operation));
        if (!is_tar_type(layer) && !is_tar(*layers_.back()))
            fail(ErrorKind::unsupported, "the image has a layer " + description_of(layer) + ", which holds no files");
        list_layer(operation, listing);
    }
}

void ImageFiles::list_layer(const OperationContext& operation, LayerListing listing) {
    const LayerContent& content = *layers_.back();
    view_.begin_layer();
    std::optional<TarMember>& first_disk = first_disks_.emplace_back();
    std::string& cut_member = cut_members_.emplace_back();
    std::string& last_listed = last_listed_.emplace_back();
    std::optional<TarMember> last;
    TarReader reader(content);
    while (true) {
        std::optional<TarMember> member = reader.next();
        if (!member)
            break;
        operation.check_cancelled();
        view_.add(*member);
        if (!foreign_member_ && member->foreign_type != '\0')
            foreign_member_ = ForeignMember{member->path, member->foreign_type};
        if (!first_disk && importer_takes(*member))
            first_disk = *member;
        if (listing == LayerListing::up_to_disk && !content.reads_anywhere() && is_large_disk(*member)) {
            last_listed = member->path;
            return;
        }
        last = std::move(member);
    }
    std::byte end{};
    if (last && last->stored_size() > 0 &&
        content.read_some_at(last->content_offset + last->stored_size() - 1, {&end, 1}) == 0)
        cut_member = last->path;
}

std::shared_ptr<const BlockDevice> open_member(const std::shared_ptr<const LayerContent>& layer, std::uint64_t offset,
                                               std::uint64_t size, const std::vector<TarExtent>* extents) {
    if (extents == nullptr)
        return content_range(layer, offset, size);
    std::vector<ScatteredDevice::Piece> pieces;
    for (const TarExtent& extent : *extents)
        pieces.push_back({extent.offset, extent.length});
    return std::make_shared<ScatteredDevice>(content_range(layer, offset, stored_bytes(*extents)), pieces, size);
}

std::shared_ptr<const BlockDevice> ImageFiles::open(const LayeredFile& file) const {
    return open_member(layers_.at(file.layer), file.content_offset, file.content_size, file.extents.get());
}

std::shared_ptr<const BlockDevice> ImageFiles::open(std::size_t layer, const TarMember& member) const {
    return open_member(layers_.at(layer), member.content_offset, member.content_size, member.extents.get());
}

std::shared_ptr<const BlockDevice> ImageFiles::open(std::string_view path) const {
    const std::optional<std::string> clean = clean_path(path);
    if (!clean)
        fail(ErrorKind::unsafe, quote_untrusted(path) + " leads out of the image");
    view_.refuse_doubt(*clean);
    const LayeredFile* file = view_.find(*clean);
    if (file == nullptr)
        fail(ErrorKind::not_found, "the image holds no file " + quote_untrusted(path));
    require_regular(*clean, *file);
    return open(*file);
}

std::vector<std::string> ImageFiles::obstacles() const {
    std::vector<std::string> texts;
    if (const UnpackObstacle* obstacle = view_.obstacle())
        texts.push_back(fmt::format("{}: {}",
                                    obstacle->everywhere ? "container runtimes refuse the image"
                                                         : "some container runtimes refuse the image",
                                    obstacle->text));
    if (foreign_member_)
        texts.push_back(fmt::format("container runtimes refuse the image: {} is a member of tar's type {}",
                                    quote_untrusted(foreign_member_->path),
                                    quote_untrusted(std::string(1, foreign_member_->type))));
    for (std::size_t i = 0; i < cut_members_.size(); ++i)
        if (!cut_members_[i].empty())
            texts.push_back(fmt::format("container runtimes refuse the image: layer {} ends in the middle of {}", i + 1,
                                        quote_untrusted(cut_members_[i])));
    return texts;
}

std::string read_small_blob(ImageSource& source, const Descriptor& blob, std::string_view what) {
    const auto bytes = source.open_blob(blob);
    if (bytes->size() != blob.size || blob.size > kMaxConfigBytes)
        fail(ErrorKind::corrupt, fmt::format("{} has another size than its manifest says", what));
    std::string text(bytes->size(), '\0');
    bytes->read_at(0, std::as_writable_bytes(std::span(text)));
    if (Digest::of(text) != blob.digest)
        fail(ErrorKind::corrupt, fmt::format("{} does not have the digest that its manifest says", what));
    return text;
}

MachineInImage find_machine(ImageSource& source, const ImageContent& image, const OperationContext& operation) {
    if (is_vm_artifact(image.parsed_manifest))
        return machine_of_artifact(source, image, operation);
    return {{find_disk(source, image, operation)}, hardware_of_labels(labels_of(image))};
}

DiskInImage find_disk(ImageSource& source, const ImageContent& image, const OperationContext& operation) {
    if (std::optional<DiskInImage> disk = find_artifact_disk(source, image, operation))
        return *std::move(disk);
    const ImageFiles files(source, image, operation);
    files.view().refuse_doubt("disk");
    const auto found = files.view().children("disk");
    if (found.empty())
        fail(ErrorKind::unsupported,
             image.config ? "the image holds no disk under /disk"
                          : "the image is an artifact, and none of its layers is a disk or holds one under /disk: " +
                                describe_layers(image.parsed_manifest.layers));
    if (found.size() > 1)
        fail(ErrorKind::unsupported,
             fmt::format("the image holds {} files under /disk, and a containerDisk holds one", found.size()));
    const auto& [path, file] = found.front();
    require_regular(path, *file);
    return {path, file->layer, files.open(*file), std::nullopt, files.obstacles()};
}

std::shared_ptr<const BlockDevice> find_file(ImageSource& source, const ImageContent& image, std::string_view path,
                                             const OperationContext& operation) {
    return ImageFiles(source, image, operation).open(path);
}

} // namespace vm2oci
