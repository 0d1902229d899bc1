#include "formats/base/error.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/memory_store.hpp"
#include "libconvert/package/podman_machine.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using vm2oci::test::MemoryDevice;

namespace {

DiskImage disk(DiskFormat format) {
    DiskImage image;
    image.format = format;
    const auto bytes = std::make_shared<MemoryDevice>(4096);
    bytes->fill(0, 4096, 7);
    image.bytes = bytes;
    return image;
}

struct Written {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    MemoryDestination destination{store};
    PodmanMachineDisk made;
    ImageIndex index;
    ImageManifest manifest;

    Written(DiskFormat format, const std::string& architecture, Compression compression) {
        ImageOptions options;
        options.architecture = architecture;
        made = write_podman_machine(disk(format), "web", LayerOptions{{compression, 0}}, options, destination, {});
        destination.publish(made.index);
        MemorySource source(store);
        index = parse_index(source.read_manifest(source.resolve()));
        manifest = parse_manifest(source.read_manifest(index.manifests.at(0)));
    }
};

} // namespace

TEST_CASE("podman machine finds its entry, its layer and the name of its file") {
    const Written qemu(DiskFormat::qcow2, "amd64", Compression::zstd);
    REQUIRE(qemu.index.manifests.size() == 1);
    CHECK(qemu.index.manifests[0].annotations.at("disktype") == "qemu");
    CHECK(qemu.index.manifests[0].platform->architecture == "x86_64");
    CHECK(qemu.index.manifests[0].platform->os == "linux");
    REQUIRE(qemu.manifest.layers.size() == 1);
    CHECK(qemu.manifest.layers[0].annotations.at("org.opencontainers.image.title") == "web.qcow2.zst");
    CHECK_FALSE(qemu.manifest.artifact_type.empty());

    const Written apple(DiskFormat::raw, "arm64", Compression::gzip);
    CHECK(apple.index.manifests[0].annotations.at("disktype") == "applehv");
    CHECK(apple.index.manifests[0].platform->architecture == "aarch64");
    CHECK(apple.manifest.layers[0].annotations.at("org.opencontainers.image.title") == "web.raw.gz");
}

TEST_CASE("the same disk is the same index") {
    CHECK(Written(DiskFormat::raw, "amd64", Compression::zstd).made.index.digest ==
          Written(DiskFormat::raw, "amd64", Compression::zstd).made.index.digest);
}

TEST_CASE("what podman has no machines of is refused") {
    CHECK_THROWS_AS(Written(DiskFormat::qcow2, "s390x", Compression::zstd), Error);
    CHECK_THROWS_AS(Written(DiskFormat::qcow2, "amd64", Compression::none), Error);
}
