// Deltas: what a version lacks, and the whole again on the other side.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/archive.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/layout.hpp"
#include "formats/oci/verify.hpp"
#include "libconvert/convert.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/flows/copy.hpp"

#include <catch2/catch.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kDisk = 24 * MiB;

std::shared_ptr<test::MemoryDevice> noise(unsigned seed) {
    auto device = std::make_shared<test::MemoryDevice>(kDisk);
    std::mt19937_64 random(seed);
    std::vector<std::byte> block(1 * MiB);
    for (std::uint64_t at = 0; at < kDisk; at += block.size()) {
        for (std::size_t i = 0; i < block.size(); i += 8) {
            const std::uint64_t word = random();
            std::memcpy(block.data() + i, &word, 8);
        }
        device->put(at, block);
    }
    return device;
}

struct Site {
    test::TemporaryFolder folder{};
    fs::path layout = folder.path() / "images";

    Descriptor write(const std::string& tag, const std::shared_ptr<test::MemoryDevice>& device) {
        OpenedDisk disk{device, device, {}};
        ContainerDiskOptions options;
        options.image.architecture = "amd64";
        OciLayoutDestination destination(layout, tag);
        return convert_to_container_disk(disk, {}, options, destination, {}).manifest;
    }
    ImageReference image(const std::string& tag) const { return LayoutReference{layout.string(), tag}; }
    ImageReference archive() const { return ArchiveReference{(folder.path() / "delta.tar").string(), "v2"}; }
};

CopiedImage copy(const ImageReference& from, const ImageReference& to, const std::optional<ImageReference>& against,
                 const std::optional<ImageReference>& reuse) {
    ImageCopyRequest request;
    request.source = from;
    request.destination = to;
    request.against = against;
    request.reuse = reuse;
    std::vector<CopiedImage> copied;
    copy_images(request, [&](const CopiedImage& one) { copied.push_back(one); }, {});
    return copied.at(0);
}

std::uint64_t size_of(const ImageReference& archive) {
    return fs::file_size(std::get<ArchiveReference>(archive).file);
}

} // namespace

TEST_CASE("a delta has what changed, and is made whole where the earlier version is") {
    Site site;
    site.write("v1", noise(1));
    const auto second = noise(1);
    second->put(10 * MiB + 77, "something else");
    const Descriptor image = site.write("v2", second);
    copy(site.image("v2"), site.archive(), site.image("v1"), {});
    CHECK(size_of(site.archive()) < 5 * MiB); // a few frames of 24 MiB of noise

    OciArchiveSource source(fs::path(std::get<ArchiveReference>(site.archive()).file), "v2", {});
    CHECK(is_delta(source, source.resolve()));
    const CopiedImage whole = copy(site.archive(), site.image("again"), {}, site.image("v1"));
    CHECK(whole.result.top.digest == image.digest);
    CHECK(OciLayoutSource(site.layout, "again").resolve().digest == image.digest);

    // On the other side only the first version is.
    Site other;
    other.write("v1", noise(1));
    CHECK(copy(site.archive(), other.image("v2"), {}, other.image("v1")).result.top.digest == image.digest);
    OciLayoutSource made(other.layout, "v2");
    CHECK(verify_image(made, {}).findings.empty());
}

TEST_CASE("what did not change at all is not carried, and what has nothing in common is carried whole") {
    Site site;
    site.write("v1", noise(1));
    site.write("same", noise(1));
    const Descriptor other = site.write("other", noise(2));
    copy(site.image("same"), site.archive(), site.image("v1"), {});
    CHECK(size_of(site.archive()) < 64 * KiB);
    const ImageReference elsewhere = ArchiveReference{(site.folder.path() / "other.tar").string(), "v2"};
    copy(site.image("other"), elsewhere, site.image("v1"), {});
    CHECK(size_of(elsewhere) > kDisk);
    CHECK(copy(elsewhere, site.image("made"), {}, site.image("v1")).result.top.digest == other.digest);
}

TEST_CASE("a delta without its base, or with another one, names nothing") {
    Site site;
    site.write("v1", noise(1));
    const auto second = noise(1);
    second->put(10 * MiB + 77, "something else");
    site.write("v2", second);
    copy(site.image("v2"), site.archive(), site.image("v1"), {});
    Site other;
    other.write("unrelated", noise(3));
    CHECK_THROWS_WITH(copy(site.archive(), other.image("v2"), {}, other.image("unrelated")),
                      Catch::Contains("the delta needs the layer"));
    CHECK_THROWS_AS(OciLayoutSource(other.layout, "v2").resolve(), Error);
    // As it is, it can be carried on.
    const CopiedImage carried = copy(site.archive(), other.image("delta"), {}, {});
    CHECK(carried.result.top.artifact_type.empty());
    OciLayoutSource delta(other.layout, "delta");
    CHECK(is_delta(delta, delta.resolve()));
}

TEST_CASE("a delta that lies is refused by the digest of what it makes, or as what it is") {
    Site site;
    site.write("v1", noise(1));
    const auto second = noise(1);
    second->put(10 * MiB + 77, "something else");
    const Descriptor image = site.write("v2", second);
    // Into a layout, where its files can be exchanged.
    Site delta_site;
    delta_site.write("v1", noise(1));
    copy(site.image("v2"), delta_site.image("delta"), site.image("v1"), {});
    OciLayoutSource source(delta_site.layout, "delta");
    const ImageManifest good = parse_manifest(source.read_manifest(source.resolve()));
    const auto recipe = std::find_if(good.layers.begin(), good.layers.end(), [](const Descriptor& file) {
        return file.media_type == "application/vnd.vm2oci.delta.recipe.v1";
    });
    REQUIRE(recipe != good.layers.end());
    std::string text(recipe->size, '\0');
    source.open_blob(*recipe)->read_at(0, std::as_writable_bytes(std::span(text)));

    const auto try_recipe = [&](const std::string& changed) {
        OciLayoutDestination destination(delta_site.layout, "lie");
        const auto writer = destination.begin_blob(std::nullopt);
        writer->write(as_bytes(changed));
        const BlobIdentity blob = writer->commit();
        ImageManifest manifest = good;
        Descriptor& file = manifest.layers[static_cast<std::size_t>(recipe - good.layers.begin())];
        file.digest = blob.digest;
        file.size = blob.size;
        destination.publish(destination.put_manifest(to_json(manifest), manifest.media_type));
        copy(delta_site.image("lie"), delta_site.image("made"), {}, delta_site.image("v1"));
    };
    CHECK_NOTHROW(try_recipe(text));
    CHECK(OciLayoutSource(delta_site.layout, "made").resolve().digest == image.digest);

    const std::size_t json = text.find('{');
    const auto with_json = [&](const std::string& other) {
        return "vm2oci delta 1\n" + std::to_string(other.size()) + "\n" + other;
    };
    std::string flipped = text;
    flipped.back() = static_cast<char>(flipped.back() ^ 1);
    // What is there already would not be made again.
    for (const Descriptor& layer : parse_manifest(OciLayoutSource(site.layout, "v2").read_manifest(image)).layers)
        fs::remove(delta_site.layout / "blobs" / "sha256" / layer.digest.hex());
    for (const std::string& lie :
         {std::string(), std::string("vm2oci delta 2\n2\n{}"), std::string("vm2oci delta 1\n"),
          std::string("vm2oci delta 1\n99999999999\n{}"), std::string("vm2oci delta 1\n-1\n{}"), with_json("{}"),
          with_json("[]"), with_json(R"({"size":1,"steps":[[1,2]]})"), with_json(R"({"size":0,"steps":[[0]]})"),
          with_json(R"({"size":18446744073709551615,"steps":[[18446744073709551615]]})"),
          with_json(R"({"size":4,"steps":[[4,"no digest",0]]})"), text.substr(0, text.size() - 1), text + "x",
          text.substr(0, json + 1)}) {
        CAPTURE(lie.substr(0, 60));
        CHECK_THROWS_AS(try_recipe(lie), Error);
    }
    // The right size and the wrong bytes.
    Site fresh;
    fresh.write("v1", noise(1));
    OciLayoutDestination destination(fresh.layout, "lie");
    for (const Descriptor& file : good.layers) {
        std::string bytes(file.size, '\0');
        source.open_blob(file)->read_at(0, std::as_writable_bytes(std::span(bytes)));
        const auto writer = destination.begin_blob(std::nullopt);
        writer->write(as_bytes(file.digest == recipe->digest ? flipped : bytes));
        writer->commit();
    }
    ImageManifest manifest = good;
    manifest.layers[static_cast<std::size_t>(recipe - good.layers.begin())].digest = Digest::of(flipped);
    const auto writer = destination.begin_blob(std::nullopt);
    writer->write(as_bytes("{}"));
    writer->commit();
    destination.publish(destination.put_manifest(to_json(manifest), manifest.media_type));
    CHECK_THROWS_AS(copy(fresh.image("lie"), fresh.image("made"), {}, fresh.image("v1")), Error);
    CHECK_THROWS_AS(OciLayoutSource(fresh.layout, "made").resolve(), Error);
}

TEST_CASE("the same versions make the same delta") {
    Site site;
    site.write("v1", noise(1));
    const auto second = noise(1);
    second->put(3 * MiB, "x");
    second->put(20 * MiB, "y");
    site.write("v2", second);
    copy(site.image("v2"), site.image("one"), site.image("v1"), {});
    copy(site.image("v2"), site.image("two"), site.image("v1"), {});
    CHECK(OciLayoutSource(site.layout, "one").resolve().digest == OciLayoutSource(site.layout, "two").resolve().digest);
}
