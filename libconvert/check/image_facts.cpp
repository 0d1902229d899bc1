#include "libconvert/check/image_facts.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/oci/bundle.hpp"
#include "formats/oci/labels.hpp"
#include "formats/oci/select.hpp"
#include "formats/partition/partition.hpp"
#include "libconvert/bundle/kernel.hpp"

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

constexpr std::uint32_t kZstdMagic = 0xfd2fb528;

LayerHead read_head(const BlockDevice& blob) {
    std::array<std::byte, 64> buffer{};
    const std::size_t length = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), blob.size()));
    const std::span<std::byte> head(buffer.data(), length);
    blob.read_at(0, head);
    if (length >= 4 && load_le<std::uint32_t>(head.data()) == kZstdMagic)
        return {"zstd", first_zstd_block_size(head)};
    constexpr std::uint32_t kSkippable = 0x184d2a50; // and the fifteen behind it
    if (length >= 4 && (load_le<std::uint32_t>(head.data()) & 0xfffffff0U) == kSkippable)
        return {std::string(kSkippableZstd), std::nullopt};
    if (length >= 2 && head[0] == std::byte{0x1f} && head[1] == std::byte{0x8b})
        return {"gzip", std::nullopt};
    constexpr std::uint32_t xz = 0x587a37fd;
    if (length >= 4 && load_le<std::uint32_t>(head.data()) == xz)
        return {"xz", std::nullopt};
    return {"none", std::nullopt};
}

// A disk without its last kilobyte, where some formats have a footer, and which costs to decode all of it.
class WithoutFooter final : public BlockDevice {
  public:
    explicit WithoutFooter(std::shared_ptr<const BlockDevice> disk) : disk_(std::move(disk)) {}

    std::uint64_t size() const override { return disk_->size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        constexpr std::uint64_t kilobyte = 1024; // what detect() reads
        const std::uint64_t footer = size() - std::min(size(), kilobyte);
        const auto read =
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), footer - std::min(footer, offset)));
        if (read > 0)
            disk_->read_at(offset, buffer.first(read));
        std::fill(buffer.begin() + static_cast<std::ptrdiff_t>(read), buffer.end(), std::byte{});
    }
    Extent extent_at(std::uint64_t offset) const override { return disk_->extent_at(offset); }

  private:
    std::shared_ptr<const BlockDevice> disk_;
};

// A disk that its layer was listed up to, or any other.
std::shared_ptr<const BlockDevice> as_listed(std::shared_ptr<const BlockDevice> bytes, const ImageFiles& files,
                                             std::size_t layer) {
    if (files.last_listed().at(layer).empty())
        return bytes;
    return std::make_shared<WithoutFooter>(std::move(bytes));
}

DiskFindings examine_named(std::shared_ptr<const BlockDevice> bytes, const std::string& path) {
    DiskSource named;
    named.path = escape_untrusted(path);
    return examine_disk(std::move(bytes), named);
}

std::uint64_t sector_size_of(std::shared_ptr<const BlockDevice> bytes, const std::string& path) {
    DiskSource named;
    named.path = escape_untrusted(path);
    return gpt_sector_size(*open_disk(std::move(bytes), named).device);
}

// What the annotations say of the bundle is judged elsewhere; here only what its kernel is.
void examine_kernel(const ImageFiles& files, ImageFacts& facts) {
    constexpr std::size_t kHead = 4096;
    const auto named = facts.content.parsed_manifest.annotations.find(bundle_annotation::kernel);
    if (named == facts.content.parsed_manifest.annotations.end())
        return;
    const LayeredFile* file = files.view().find(named->second);
    if (file == nullptr || file->type != TarType::regular)
        return;
    const auto device = files.open(*file);
    std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(kHead, device->size())), '\0');
    device->read_at(0, std::as_writable_bytes(std::span(head)));
    facts.kernel_architecture = kernel_architecture(head);
}

// None, several, or no regular file: the list of files says it better.
void examine_only_disk(const ImageFiles& files, ImageFacts& facts) {
    const auto found = files.view().children("disk");
    if (found.size() != 1 || found[0].second->type != TarType::regular)
        return;
    const auto bytes = as_listed(files.open(*found[0].second), files, found[0].second->layer);
    facts.disk = examine_named(bytes, found[0].first);
    if (!facts.disk->refusal && !facts.disk->foreign_format)
        facts.sector_size = sector_size_of(bytes, found[0].first);
}

std::optional<ImportedDisk> examine_imported_disk(const ImageFiles& files) {
    for (std::size_t layer = 0; layer < files.first_disks().size(); ++layer) {
        const std::optional<TarMember>& member = files.first_disks()[layer];
        if (!member)
            continue;
        ImportedDisk imported;
        imported.name = member->stored_path;
        imported.path = member->path;
        imported.layer = layer;
        imported.type = member->type;
        imported.size = member->content_size;
        const LayeredFile* seen = files.view().find(member->path);
        imported.is_seen = seen != nullptr && seen->layer == layer && seen->content_offset == member->content_offset;
        if (member->type == TarType::regular && member->content_size > 0)
            imported.findings = examine_named(as_listed(files.open(layer, *member), files, layer), member->path);
        return imported;
    }
    return std::nullopt;
}

// CRI-O mounts an artifact's blobs as they are stored, under their titles.
void add_artifact_disk(ImageFacts& facts, const DiskInImage& disk, ImageSource& source) {
    const auto blob = source.open_blob(facts.content.parsed_manifest.layers.at(disk.layer));
    if (const std::optional<std::string> path = clean_path(disk.path); path && !path->empty())
        facts.files[*path] = {TarType::regular, 0444, 0, 0, blob->size()};
    facts.disk = examine_named(blob, disk.path);
    if (!facts.disk->refusal && !facts.disk->foreign_format)
        facts.sector_size = sector_size_of(blob, disk.path);
}

void examine_machine(ImageFacts& facts, ImageSource& source) {
    MachineArtifactFacts& machine = facts.machine.emplace();
    const ImageManifest& manifest = facts.content.parsed_manifest;
    try {
        const std::string described = read_small_blob(source, manifest.config, "the artifact's VirtualMachine");
        machine.disks = disks_of_vm_artifact(manifest, described);
        machine.claims = claims_of_virtual_machine(described);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::limit)
            throw;
        machine.problem = error.what();
    }
}

void examine_index(ImageFacts& facts, ImageSource& source) {
    if (!is_index(facts.content.top.media_type))
        return;
    facts.index.emplace();
    for (const Descriptor& entry : parse_index(source.read_manifest(facts.content.top)).manifests) {
        IndexEntryFacts& seen = facts.index->emplace_back();
        if (const auto type = entry.annotations.find("disktype"); type != entry.annotations.end())
            seen.disk_type = type->second;
        if (entry.platform) {
            seen.architecture = entry.platform->architecture;
            seen.os = entry.platform->os;
        }
        if (seen.disk_type.empty())
            continue;
        try {
            const ImageManifest manifest = parse_manifest(source.read_manifest(entry));
            seen.is_read = true;
            for (const Descriptor& layer : manifest.layers) {
                const auto title = layer.annotations.find(label::oci_title);
                seen.titles.push_back(title == layer.annotations.end() ? "" : title->second);
            }
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found && error.kind() != ErrorKind::corrupt)
                throw;
        }
    }
}

void verify_layers(ImageFacts& facts, ImageSource& source, const OperationContext& operation) {
    try {
        verify_content(source, facts.content, operation);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt)
            throw;
        facts.content_problem = error.what();
        facts.content.verifier.reset(); // what is told of such an image is told of what it holds
    }
    facts.trust = ContentTrust::verified;
}

} // namespace

std::optional<std::uint64_t> first_zstd_block_size(std::span<const std::byte> head) {
    if (head.size() < 5 || load_le<std::uint32_t>(head.data()) != kZstdMagic)
        return std::nullopt;
    const auto descriptor = std::to_integer<unsigned>(head[4]);
    const bool single_segment = (descriptor & 0x20U) != 0;
    constexpr std::array<std::size_t, 4> dictionary_bytes = {0, 1, 2, 4};
    constexpr std::array<std::size_t, 4> content_size_bytes = {0, 2, 4, 8};
    const unsigned size_flag = descriptor >> 6;
    std::size_t at = 5;
    at += single_segment ? 0 : 1; // the window descriptor
    at += dictionary_bytes[descriptor & 3U];
    at += size_flag == 0 && single_segment ? 1 : content_size_bytes[size_flag];
    if (head.size() < at + 3)
        return std::nullopt;
    const unsigned header = std::to_integer<unsigned>(head[at]) | std::to_integer<unsigned>(head[at + 1]) << 8 |
                            std::to_integer<unsigned>(head[at + 2]) << 16;
    constexpr unsigned run_length_block = 1;
    return (header >> 1 & 3U) == run_length_block ? 1 : header >> 3;
}

ImageFacts gather_image_facts(ImageSource& source, const std::string& architecture, const OperationContext& operation,
                              LayerReading reading) {
    ImageFacts facts;
    facts.content = read_image(source, architecture);
    require_architecture(facts.content.config ? facts.content.config->platform.architecture : "", architecture);
    if (reading == LayerReading::whole || !source.traits().blobs_are_remote)
        verify_layers(facts, source, operation);
    const std::vector<Descriptor>& layers = facts.content.parsed_manifest.layers;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        operation.check_cancelled();
        facts.layers.push_back(read_head(*source.open_blob(layers[i])));
    }
    examine_index(facts, source);
    if (is_vm_artifact(facts.content.parsed_manifest)) {
        examine_machine(facts, source);
        return facts;
    }
    if (const std::optional<DiskInImage> disk = find_artifact_disk(source, facts.content, operation)) {
        add_artifact_disk(facts, *disk, source);
        return facts;
    }
    // A bundle names files anywhere.
    const bool is_bundle = facts.content.parsed_manifest.annotations.count(bundle_annotation::version) != 0;
    const bool reads_heads = facts.trust == ContentTrust::not_verified && !is_bundle;
    const ImageFiles files(source, facts.content, operation,
                           reads_heads ? LayerListing::up_to_disk : LayerListing::whole);
    for (std::size_t i = 0; i < facts.layers.size(); ++i) {
        facts.layers[i].cut_member = files.cut_members().at(i);
        facts.layers[i].last_listed = files.last_listed().at(i);
    }
    files.view().refuse_doubt(is_bundle ? "" : "disk");
    facts.foreign_member = files.foreign_member();
    if (const UnpackObstacle* obstacle = files.view().obstacle())
        facts.obstacle = *obstacle;
    files.view().for_each([&](const std::string& path, const LayeredFile& file) {
        facts.files[path] = {file.type, file.permissions, file.uid, file.gid, file.content_size};
    });
    facts.imported = examine_imported_disk(files);
    examine_only_disk(files, facts);
    if (is_bundle)
        examine_kernel(files, facts);
    return facts;
}

} // namespace vm2oci
