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

} // namespace

TEST_CASE("layers are merged as a container sees them") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    ImageContents contents;
    contents.layers.push_back(layer_of(destination, {entry("disk", FileType::directory), entry("disk/a"),
                                                     entry("disk/b"), entry("old/x"), entry("gone/y/z")}));
    contents.layers.push_back(
        layer_of(destination, {entry("disk/.wh.a"), entry("old/.wh..wh..opq"), entry("old/new"), entry(".wh.gone")}));
    ImageOptions options;
    options.architecture = "amd64";
    destination.publish(assemble_image(options, contents, destination));
    MemorySource source(store);
    const ImageFacts facts = gather_image_facts(source, "", {});
    std::vector<std::string> paths;
    for (const auto& [path, file] : facts.files)
        paths.push_back(path);
    CHECK(paths == std::vector<std::string>{"disk", "disk/b", "old/new"});
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
    ImageOptions options;
    options.architecture = "amd64";
    destination.publish(assemble_image(options, contents, destination));
    MemorySource source(store);
    const ImageFacts facts = gather_image_facts(source, "", {});
    CHECK(facts.layers.at(0).cut_member == "disk/web.img");
    CHECK(facts.layers.at(1).cut_member.empty());
    CHECK(facts.trust == ContentTrust::verified);
    CHECK(facts.content_problem.empty());

    std::swap(contents.layers[0].diff_id, contents.layers[1].diff_id);
    destination.publish(assemble_image(options, contents, destination));
    MemorySource wrong(store);
    CHECK_THAT(gather_image_facts(wrong, "", {}).content_problem, Catch::Contains("diff_id"));
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
