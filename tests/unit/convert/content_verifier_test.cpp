// Images whose blobs, sizes or diff_ids are not what their documents say: nothing may be made of them.
#include "formats/base/error.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/memory_store.hpp"
#include "libconvert/convert.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

using namespace vm2oci;

namespace {

constexpr std::uint64_t kSize = 6 * MiB;

std::string stored(ImageSource& source, const Descriptor& blob) {
    const auto device = source.open_blob(blob);
    std::string bytes(static_cast<std::size_t>(device->size()), '\0');
    device->read_at(0, std::as_writable_bytes(std::span(bytes)));
    return bytes;
}

// A store that gives other bytes under a layer's digest.
class SwappingSource final : public ImageSource {
  public:
    SwappingSource(std::shared_ptr<MemoryStore> store, Digest swapped, std::string bytes)
        : source_(std::move(store)), swapped_(std::move(swapped)), bytes_(std::move(bytes)) {}

    Descriptor resolve() override { return source_.resolve(); }
    std::string read_manifest(const Descriptor& manifest) override { return source_.read_manifest(manifest); }
    std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) override {
        if (blob.digest != swapped_)
            return source_.open_blob(blob);
        auto device = std::make_shared<test::MemoryDevice>(bytes_.size());
        device->put(0, bytes_);
        return device;
    }

  private:
    MemorySource source_;
    Digest swapped_;
    std::string bytes_;
};

struct Sample {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    ImageReport report;

    Sample(char letter, CompressionSpec compression, LayerForm form = LayerForm::plain) {
        auto device = std::make_shared<test::MemoryDevice>(kSize);
        device->put(100, std::string(1, letter)).fill(MiB, 3 * MiB, static_cast<unsigned char>(letter));
        OpenedDisk disk;
        disk.info.format = DiskFormat::raw;
        disk.info.virtual_size = disk.info.allocated_size = kSize;
        disk.container = device;
        disk.device = device;
        ContainerDiskOptions options;
        options.image.architecture = "amd64";
        options.layer.compression = compression;
        options.layer.form = form;
        MemoryDestination destination(store);
        report = convert_to_container_disk(disk, {}, options, destination, {});
    }

    static ImageContent read(ImageSource& source) {
        ImageContent image = read_image(source, "amd64");
        image.verifier = std::make_shared<ContentVerifier>(image.parsed_manifest, image.config);
        return image;
    }

    // Reads the disk in `step`s, then verifies.
    void use(std::size_t step) const {
        MemorySource source(store);
        use(source, step);
    }
    static void use(ImageSource& source, std::size_t step) {
        const ImageContent image = read(source);
        const DiskInImage disk = find_disk(source, image, {});
        std::vector<std::byte> buffer(step);
        for (std::uint64_t offset = 0; offset + step <= disk.bytes->size(); offset += step)
            disk.bytes->read_at(offset, buffer);
        image.verifier->finish({});
    }
};

bool is_refused(ImageSource& source, std::size_t step) {
    try {
        Sample::use(source, step);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
        return true;
    }
    return false;
}

const std::vector<CompressionSpec> kCompressions = {
    {Compression::zstd, 0}, {Compression::gzip, 0}, {Compression::none, 0}};

// Publishes the sample's image with a changed configuration.
void change_config(Sample& sample, const std::function<void(ImageConfig&)>& change) {
    MemorySource source(sample.store);
    const ImageContent image = read_image(source, "amd64");
    ImageConfig config = *image.config;
    change(config);
    const std::string text = to_json(config);
    ImageManifest manifest = image.parsed_manifest;
    manifest.config.digest = Digest::of(text);
    manifest.config.size = text.size();
    sample.store->put_blob(manifest.config.digest, text);
    MemoryDestination destination(sample.store);
    destination.publish(destination.put_manifest(to_json(manifest), manifest.media_type));
}

} // namespace

TEST_CASE("an image that is what it says passes, in whatever order its disk is read", "[source][verify]") {
    for (const CompressionSpec& compression : kCompressions)
        for (const std::size_t step : {std::size_t{4096}, std::size_t{777}, 2 * MiB})
            CHECK_NOTHROW(Sample('a', compression).use(step));
    CHECK_NOTHROW(Sample('a', {Compression::zstd, 0}, LayerForm::chunked).use(64 * KiB));
}

TEST_CASE("another layer's bytes under a layer's digest are refused", "[source][verify]") {
    for (const CompressionSpec& compression : kCompressions) {
        const Sample sample('a', compression);
        const Sample other('b', compression);
        MemorySource source(other.store);
        std::string bytes = stored(source, other.report.layer.descriptor);
        const std::uint64_t said = sample.report.layer.descriptor.size;
        CAPTURE(to_string(compression.algorithm), bytes.size(), said);
        SwappingSource changed(sample.store, sample.report.layer.descriptor.digest, bytes);
        CHECK(is_refused(changed, 64 * KiB));
        ImageContent image = read_image(changed, "amd64");
        CHECK_THROWS_AS(verify_content(changed, image, {}), Error);
    }
}

TEST_CASE("a layer of another size is refused before it is read", "[source][verify]") {
    const Sample sample('a', {Compression::zstd, 0});
    MemorySource source(sample.store);
    SwappingSource changed(sample.store, sample.report.layer.descriptor.digest,
                           stored(source, sample.report.layer.descriptor) + std::string(1, '\0'));
    const ImageContent unwatched = read_image(changed, "amd64");
    CHECK_THROWS_WITH(find_disk(changed, unwatched, {}), Catch::Contains("the manifest says"));
    CHECK(is_refused(changed, 64 * KiB));
}

TEST_CASE("a diff_id that the layer has not is refused", "[source][verify]") {
    for (const CompressionSpec& compression : kCompressions) {
        Sample sample('a', compression);
        change_config(sample, [](ImageConfig& config) { config.diff_ids[0] = Digest::of("another layer"); });
        MemorySource source(sample.store);
        CHECK(is_refused(source, 64 * KiB));
    }
}

TEST_CASE("another number of diff_ids than of layers is refused", "[source][verify]") {
    Sample sample('a', {Compression::zstd, 0});
    change_config(sample, [](ImageConfig& config) { config.diff_ids.push_back(Digest::of("")); });
    MemorySource source(sample.store);
    CHECK(is_refused(source, 64 * KiB));
}

TEST_CASE("what is read in parts is said to be proven only with a table of contents", "[source][verify]") {
    const auto trust = [](const Sample& sample) {
        MemorySource source(sample.store);
        return trust_in_parts(source, read_image(source, "amd64"));
    };
    CHECK(trust(Sample('a', {Compression::zstd, 0})) == ContentTrust::not_verified);
    CHECK(trust(Sample('a', {Compression::gzip, 0})) == ContentTrust::not_verified);
    CHECK(trust(Sample('a', {Compression::zstd, 0}, LayerForm::chunked)) == ContentTrust::proven_parts);
}

namespace {

// A store that answers with other bytes once it has been read.
class TurningSource final : public ImageSource {
  public:
    TurningSource(std::shared_ptr<MemoryStore> store, Digest turned, std::string later)
        : source_(std::move(store)), turned_(std::move(turned)), later_(std::move(later)) {}

    Descriptor resolve() override { return source_.resolve(); }
    std::string read_manifest(const Descriptor& manifest) override { return source_.read_manifest(manifest); }
    std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) override {
        if (blob.digest != turned_ || !std::exchange(is_read_, true))
            return source_.open_blob(blob);
        auto device = std::make_shared<test::MemoryDevice>(later_.size());
        device->put(0, later_);
        return device;
    }

  private:
    MemorySource source_;
    Digest turned_;
    std::string later_;
    bool is_read_ = false;
};

} // namespace

TEST_CASE("what is read after verification is what was verified", "[source][verify]") {
    for (const CompressionSpec& compression : kCompressions) {
        const Sample sample('a', compression);
        const Sample other('b', compression);
        MemorySource others(other.store);
        TurningSource source(sample.store, sample.report.layer.descriptor.digest,
                             stored(others, other.report.layer.descriptor));
        ImageContent image = read_image(source, "amd64");
        verify_content(source, image, {});
        const DiskInImage disk = find_disk(source, image, {});
        std::vector<std::byte> whole(static_cast<std::size_t>(disk.bytes->size()));
        disk.bytes->read_at(0, whole);
        CHECK(std::count(whole.begin(), whole.end(), std::byte{'b'}) < 1000);
        CHECK(std::count(whole.begin(), whole.end(), std::byte{'a'}) > 1000000);
        CHECK_NOTHROW(image.verifier->finish({}));
    }
}

namespace {

// Reads the sample's disk whole with what is known of layers in `folder`. Error{corrupt}.
void use_known(ImageSource& source, const std::filesystem::path& folder) {
    ImageContent image = read_image(source, "amd64");
    image.verifier = std::make_shared<ContentVerifier>(image.parsed_manifest, image.config, ProvenLayers(folder));
    const DiskInImage disk = find_disk(source, image, {});
    std::vector<std::byte> buffer(static_cast<std::size_t>(disk.bytes->size()));
    disk.bytes->read_at(0, buffer);
    image.verifier->finish({});
}

} // namespace

TEST_CASE("what a compressed layer unpacks to is kept once it is proven", "[source][verify]") {
    for (const CompressionSpec& compression : kCompressions) {
        const test::TemporaryFolder folder;
        const Sample sample('a', compression);
        MemorySource source(sample.store);
        const StoredLayer& layer = sample.report.layer;
        CHECK_FALSE(ProvenLayers(folder.path()).diff_id_of(layer.descriptor.digest));
        use_known(source, folder.path());
        const std::optional<Digest> known = ProvenLayers(folder.path()).diff_id_of(layer.descriptor.digest);
        if (compression.algorithm == Compression::none)
            CHECK_FALSE(known); // its digest says it
        else
            CHECK(known == layer.diff_id);
        CHECK_NOTHROW(use_known(source, folder.path()));
    }
}

TEST_CASE("what is known of a layer excuses neither other bytes nor another diff_id", "[source][verify]") {
    const test::TemporaryFolder folder;
    for (const Compression algorithm : {Compression::zstd, Compression::gzip}) {
        const CompressionSpec compression{algorithm, 0};
        Sample sample('c', compression);
        MemorySource source(sample.store);
        const Descriptor& layer = sample.report.layer.descriptor;
        use_known(source, folder.path());

        std::string bytes = stored(source, layer);
        bytes[bytes.size() / 2] ^= 1;
        SwappingSource changed(sample.store, layer.digest, bytes);
        CHECK_THROWS_AS(use_known(changed, folder.path()), Error);

        change_config(sample, [](ImageConfig& config) { config.diff_ids.front() = Digest::of("something else"); });
        MemorySource changed_config(sample.store);
        CHECK_THROWS_AS(use_known(changed_config, folder.path()), Error);
    }
}

TEST_CASE("only what this user alone could write of a layer is believed", "[source][verify]") {
    const test::TemporaryFolder folder;
    const ProvenLayers known(folder.path());
    const ProvenLayer one{Digest::of("stored"), Digest::of("content")};
    const ProvenLayer two{Digest::of("stored, too"), Digest::of("other content")};
    known.keep(std::array{one, two});
    CHECK(known.diff_id_of(one.stored) == one.diff_id);
    CHECK(known.diff_id_of(two.stored) == two.diff_id);

    const auto file_of = [&](const ProvenLayer& layer) { return folder.path() / layer.stored.hex(); };
    std::filesystem::copy_file(file_of(one), file_of(two), std::filesystem::copy_options::overwrite_existing);
    CHECK_FALSE(known.diff_id_of(two.stored));
    std::filesystem::resize_file(file_of(one), 80);
    CHECK_FALSE(known.diff_id_of(one.stored));
    known.keep(std::array{one, two});
    std::filesystem::permissions(file_of(one), std::filesystem::perms::others_write,
                                 std::filesystem::perm_options::add);
    CHECK_FALSE(known.diff_id_of(one.stored));
    std::filesystem::rename(file_of(two), folder.path() / "elsewhere");
    std::filesystem::create_symlink("elsewhere", file_of(two));
    CHECK_FALSE(known.diff_id_of(two.stored));
    CHECK_FALSE(ProvenLayers({}).diff_id_of(one.stored));
}
