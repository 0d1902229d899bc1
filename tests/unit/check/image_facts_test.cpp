#include "formats/base/fd.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/memory_store.hpp"
#include "formats/tree/tar.hpp"
#include "libconvert/check/image_facts.hpp"
#include "libconvert/convert.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

Entry entry(std::string path, FileType type = FileType::regular) {
    Entry made;
    made.path = std::move(path);
    made.status.type = type;
    made.status.permissions = 0644;
    return made;
}

StoredLayer layer_of(ImageDestination& destination, const std::vector<Entry>& entries) {
    LayerWriter layer(destination, CompressionSpec{Compression::none, 0}, {});
    for (const Entry& one : entries)
        layer.write(as_bytes(tar_header(one)));
    layer.write(std::vector<std::byte>(kTarEndSize));
    return layer.finish();
}

void publish(const ImageContents& contents, ImageDestination& destination) {
    ImageOptions options;
    options.architecture = "amd64";
    destination.publish(assemble_image(options, contents, destination));
}

// A store like a registry's, which counts the bytes of layers that are read from it.
class RemoteSource final : public ImageSource {
  public:
    explicit RemoteSource(const std::shared_ptr<MemoryStore>& store) : store_(store) {}

    SourceTraits traits() const override { return {.blobs_are_remote = true}; }
    Descriptor resolve() override { return store_.resolve(); }
    std::string read_manifest(const Descriptor& manifest) override { return store_.read_manifest(manifest); }
    std::shared_ptr<const BlockDevice> open_blob(const Descriptor& blob) override {
        return std::make_shared<CountingDevice>(store_.open_blob(blob), *read_);
    }
    std::uint64_t read() const { return *read_; }

  private:
    class CountingDevice final : public BlockDevice {
      public:
        CountingDevice(std::shared_ptr<const BlockDevice> inner, std::uint64_t& read)
            : inner_(std::move(inner)), read_(read) {}
        std::uint64_t size() const override { return inner_->size(); }
        void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
            read_ += buffer.size();
            inner_->read_at(offset, buffer);
        }
        Extent extent_at(std::uint64_t offset) const override { return inner_->extent_at(offset); }

      private:
        std::shared_ptr<const BlockDevice> inner_;
        std::uint64_t& read_;
    };

    MemorySource store_;
    std::unique_ptr<std::uint64_t> read_ = std::make_unique<std::uint64_t>(0);
};

// Bytes that no codec makes smaller.
std::vector<std::byte> noise(std::size_t length) {
    std::vector<std::byte> bytes(length);
    std::uint64_t state = 0x9e3779b97f4a7c15;
    for (std::byte& byte : bytes) {
        state ^= state << 13U;
        state ^= state >> 7U;
        state ^= state << 17U;
        byte = static_cast<std::byte>(state);
    }
    return bytes;
}

} // namespace

TEST_CASE("layers are merged as a container sees them") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    ImageContents contents;
    contents.layers.push_back(layer_of(destination, {entry("disk", FileType::directory), entry("disk/a"),
                                                     entry("disk/b"), entry("old/x"), entry("gone/y/z")}));
    contents.layers.push_back(
        layer_of(destination, {entry("disk/.wh.a"), entry("old/.wh..wh..opq"), entry("old/new"), entry(".wh.gone")}));
    publish(contents, destination);
    MemorySource source(store);
    const ImageFacts facts = gather_image_facts(source, "", {});
    std::vector<std::string> paths;
    paths.reserve(facts.files.size());
    for (const auto& [path, file] : facts.files)
        paths.push_back(path);
    CHECK(paths == std::vector<std::string>{"disk", "disk/b", "old", "old/new"});
    REQUIRE(facts.imported);
    CHECK(facts.imported->path == "disk/a"); // the importer knows no whiteouts
    CHECK_FALSE(facts.imported->is_seen);
}

TEST_CASE("a layer that ends in the middle of a file, and a wrong diff_id, are facts") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    Entry disk = entry("disk/web.img");
    disk.status.size = 100'000;
    LayerWriter cut(destination, CompressionSpec{Compression::gzip, 1}, {});
    cut.write(as_bytes(tar_header(disk)));
    cut.write(std::vector<std::byte>(60'000));
    ImageContents contents;
    contents.layers.push_back(cut.finish());
    contents.layers.push_back(layer_of(destination, {entry("etc/motd")}));
    publish(contents, destination);
    MemorySource source(store);
    const ImageFacts facts = gather_image_facts(source, "", {});
    CHECK(facts.layers.at(0).cut_member == "disk/web.img");
    CHECK(facts.layers.at(1).cut_member.empty());
    CHECK(facts.trust == ContentTrust::verified);
    CHECK(facts.content_problem.empty());

    std::swap(contents.layers[0].diff_id, contents.layers[1].diff_id);
    publish(contents, destination);
    MemorySource wrong(store);
    CHECK_THAT(gather_image_facts(wrong, "", {}).content_problem, Catch::Contains("diff_id"));
}

TEST_CASE("a remote layer that is decoded from its beginning is listed up to its disk") {
    struct Row {
        Compression codec;
        std::string disk;
        std::size_t size;
        bool is_cut_short;
    };
    constexpr std::size_t large = 24 * MiB;
    const Row row = GENERATE(
        Row{Compression::gzip, "disk/web.img", large, true}, Row{Compression::gzip, "./disk/web.img", large, true},
        Row{Compression::gzip, "base_image/web.img", large, true},
        Row{Compression::gzip, "disk/web.img", 1 * MiB, false}, Row{Compression::none, "disk/web.img", large, false},
        Row{Compression::gzip, "var/web.img", large, false});
    CAPTURE(row.disk, row.size, static_cast<int>(row.codec));
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    LayerWriter layer(destination, CompressionSpec{row.codec, 0}, {});
    Entry disk = entry(row.disk);
    disk.status.size = row.size;
    layer.write(as_bytes(tar_header(disk)));
    layer.write(noise(row.size));
    layer.write(as_bytes(tar_header(entry("behind"))));
    layer.write(std::vector<std::byte>(kTarEndSize));
    ImageContents contents;
    contents.layers.push_back(layer.finish());
    contents.layers.push_back(layer_of(destination, {entry("etc/motd")}));
    publish(contents, destination);

    RemoteSource heads(store);
    const ImageFacts facts = gather_image_facts(heads, "", {});
    CHECK(facts.layers.at(0).last_listed.empty() != row.is_cut_short);
    CHECK(facts.layers.at(1).last_listed.empty());
    CHECK((facts.files.count("behind") == 0) == row.is_cut_short);
    CHECK(facts.files.count("etc/motd") == 1);
    CHECK(facts.trust == ContentTrust::not_verified);
    if (row.is_cut_short)
        CHECK(heads.read() < 4 * MiB);

    RemoteSource whole(store);
    const ImageFacts all = gather_image_facts(whole, "", {}, LayerReading::whole);
    CHECK(all.layers.at(0).last_listed.empty());
    CHECK(all.files.count("behind") == 1);
}

TEST_CASE("a converted disk shows its format and a first zstd block that importers can probe") {
    const auto device = std::make_shared<test::MemoryDevice>(4 * MiB);
    device->put(0, "data");
    OpenedDisk disk;
    disk.device = device;
    disk.container = device;
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    ContainerDiskOptions options;
    options.image.architecture = "amd64";
    convert_to_container_disk(disk, {}, options, destination, {});
    MemorySource source(store);
    const ImageFacts facts = gather_image_facts(source, "", {});
    REQUIRE(facts.layers.size() == 1);
    CHECK(facts.layers[0].compression == "zstd");
    REQUIRE(facts.layers[0].first_zstd_block);
    CHECK(*facts.layers[0].first_zstd_block >= 512);
    REQUIRE(facts.disk);
    CHECK(facts.disk->info.format == DiskFormat::qcow2);
    CHECK_FALSE(facts.disk->refusal);
}

TEST_CASE("the first block of a zstd frame is found behind every form of header") {
    const auto size_of = [](std::vector<unsigned> numbers) {
        std::vector<std::byte> head;
        for (const unsigned number : numbers)
            head.push_back(static_cast<std::byte>(number));
        return first_zstd_block_size(head);
    };
    CHECK(size_of({0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x21, 0x03, 0x00}) == 100);     // window descriptor
    CHECK(size_of({0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x05, 0x29, 0x00, 0x00}) == 5);       // single segment, one byte
    CHECK(size_of({0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x05, 0x2b, 0x00, 0x00}) == 1);       // a run
    CHECK(size_of({0x28, 0xb5, 0x2f, 0xfd, 0x61, 0x07, 0, 0, 0x29, 0x00, 0x00}) == 5); // dictionary, two bytes
    CHECK_FALSE(size_of({0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x05}));
    CHECK_FALSE(size_of({0x1f, 0x8b, 0, 0, 0, 0, 0, 0, 0}));
}
