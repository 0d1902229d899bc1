#include "formats/base/error.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/layout.hpp"
#include "formats/oci/memory_store.hpp"
#include "formats/oci/null_store.hpp"
#include "formats/oci/select.hpp"
#include "formats/oci/verify.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

StoredLayer put_layer(ImageDestination& destination, std::string_view content, Compression compression) {
    LayerWriter writer(destination, CompressionSpec{compression, 0}, {});
    writer.write(as_bytes(content));
    return writer.finish();
}

struct Parts {
    ImageConfig config;
    ImageManifest manifest;
};

Parts parts_of(const std::vector<StoredLayer>& layers) {
    Parts parts;
    parts.config.platform.architecture = "amd64";
    for (const StoredLayer& layer : layers) {
        parts.config.diff_ids.push_back(layer.diff_id);
        parts.manifest.layers.push_back(layer.descriptor);
    }
    return parts;
}

Descriptor put_parts(ImageDestination& destination, Parts parts) {
    const BlobIdentity config = put_blob(destination, to_json(parts.config));
    parts.manifest.config = {.media_type = media_type::oci_config, .digest = config.digest, .size = config.size};
    return destination.put_manifest(to_json(parts.manifest), media_type::oci_manifest);
}

VerifyReport verify(const std::shared_ptr<MemoryStore>& store) {
    MemorySource source(store);
    return verify_image(source, {});
}

bool has_finding(const VerifyReport& report, const std::string& where, const std::string& problem) {
    for (const VerifyFinding& finding : report.findings)
        if (finding.where.find(where) != std::string::npos && finding.problem.find(problem) != std::string::npos)
            return true;
    for (const VerifyFinding& finding : report.findings)
        UNSCOPED_INFO(finding.where << ": " << finding.problem);
    return false;
}

const std::string kContent(5'000'000, 'c');

// "third", as xz packs it.
constexpr unsigned char kThirdInXz[] = {0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02,
                                        0x00, 0x21, 0x01, 0x16, 0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0x01, 0x00,
                                        0x04, 0x74, 0x68, 0x69, 0x72, 0x64, 0x00, 0x00, 0x00, 0x00, 0xb6, 0xbe, 0x61,
                                        0x6c, 0xea, 0xe2, 0xb3, 0x2d, 0x00, 0x01, 0x1d, 0x05, 0xb8, 0x2d, 0x80, 0xaf,
                                        0x1f, 0xb6, 0xf3, 0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a};

template <std::size_t Size>
std::string text_of(const unsigned char (&bytes)[Size]) {
    return {reinterpret_cast<const char*>(bytes), Size};
}

} // namespace

TEST_CASE("a whole image has no findings") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    const std::vector<StoredLayer> layers = {put_layer(destination, kContent, Compression::zstd),
                                             put_layer(destination, "second", Compression::gzip),
                                             put_layer(destination, "third", Compression::none)};
    CHECK(layers[2].diff_id == layers[2].descriptor.digest);
    CHECK(layers[0].diff_id == Digest::of(kContent));
    destination.publish(put_parts(destination, parts_of(layers)));
    const VerifyReport report = verify(store);
    CHECK(report.findings.empty());
    CHECK(report.manifests == 1);
    CHECK(report.blobs == 4);
    CHECK(report.content_bytes == kContent.size() + 11);
}

TEST_CASE("an attestation's statement is bytes, and its diff_id is its digest") {
    for (const bool right : {true, false}) {
        const auto store = std::make_shared<MemoryStore>();
        MemoryDestination destination(store);
        const BlobIdentity statement = put_blob(destination, R"({"_type":"statement"})");
        Parts parts = parts_of({});
        parts.config.diff_ids = {right ? statement.digest : Digest::of("another")};
        parts.manifest.layers = {
            {.media_type = "application/vnd.in-toto+json", .digest = statement.digest, .size = statement.size}};
        destination.publish(put_parts(destination, parts));
        const VerifyReport report = verify(store);
        CHECK(report.findings.empty() == right);
        if (!right)
            CHECK(has_finding(report, "layer", "the config says"));
    }
}

TEST_CASE("what cannot be told of a layer is a remark, and its stored bytes are held against their digest") {
    const struct {
        std::string media_type;
        std::string stored;
        bool has_remark;
    } cases[] = {
        {"application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "ciphertext", true},
        {"application/vnd.oci.image.layer.v1.tar+zstd+encrypted", "other ciphertext", true},
        {"application/vnd.oci.image.layer.v1.tar+encrypted", "a third one", true},
        {"application/vnd.oci.image.layer.nydus.blob.v1", "nydus's chunks", true},
        {"application/vnd.oci.image.layer.v1.tar+lz4", "\x04\x22\x4d\x18", true},
        {"application/vnd.oci.image.layer.v1.tar+bzip2", "BZh91AY&SY", true},
        {"application/vnd.oci.image.layer.v1.tar+xz", text_of(kThirdInXz), false},
    };
    for (const auto& one : cases) {
        CAPTURE(one.media_type);
        const auto report_of = [&](const std::string& stored) {
            const auto store = std::make_shared<MemoryStore>();
            MemoryDestination destination(store);
            store->put_blob(Digest::of(one.stored), stored);
            Parts parts = parts_of({put_layer(destination, "first", Compression::gzip)});
            parts.config.diff_ids.push_back(Digest::of("third"));
            parts.manifest.layers.push_back({one.media_type, Digest::of(one.stored), one.stored.size()});
            destination.publish(put_parts(destination, parts));
            return verify(store);
        };
        const VerifyReport report = report_of(one.stored);
        CHECK(report.findings.empty());
        CHECK(report.unjudged.empty());
        CHECK(report.remarks.empty() != one.has_remark);
        CHECK(report.blobs == 3);
        CHECK(has_finding(report_of(one.stored + "more"), Digest::of(one.stored).text(), "its content has the digest"));
    }
}

TEST_CASE("an xz layer is held against its diff_id") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    const BlobIdentity blob = put_blob(destination, text_of(kThirdInXz));
    Parts parts;
    parts.config.platform.architecture = "amd64";
    parts.config.diff_ids = {Digest::of("fourth")};
    parts.manifest.layers = {{"application/vnd.oci.image.layer.v1.tar+xz", blob.digest, blob.size}};
    destination.publish(put_parts(destination, parts));
    CHECK(has_finding(verify(store), blob.digest.text(), "its content has the diff_id"));
}

TEST_CASE("non-distributable layers need not be stored, and others must be") {
    for (const auto& [media_type, may_be_elsewhere] :
         {std::pair("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", true),
          std::pair("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", true),
          std::pair("application/vnd.docker.image.rootfs.diff.tar.gzip", false),
          std::pair("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", false)}) {
        CAPTURE(media_type);
        const auto store = std::make_shared<MemoryStore>();
        MemoryDestination destination(store);
        Parts parts = parts_of({put_layer(destination, "first", Compression::zstd)});
        parts.config.diff_ids.push_back(Digest::of("Windows"));
        parts.manifest.layers.push_back({media_type, Digest::of("stored elsewhere"), 16});
        destination.publish(put_parts(destination, parts));
        const VerifyReport report = verify(store);
        CHECK(report.findings.empty() == may_be_elsewhere);
        CHECK(report.remarks.empty() != may_be_elsewhere);
    }
}

TEST_CASE("documents of a kind that is not known are not called broken") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    const Parts parts = parts_of({put_layer(destination, "first", Compression::zstd)});
    const Descriptor manifest = put_parts(destination, parts);
    std::string text = MemorySource(store).read_manifest(manifest);
    const std::string digest = parts.manifest.layers.front().digest.text();
    text.replace(text.find(digest), digest.size(), "sha512:" + std::string(128, 'a'));
    destination.publish(destination.put_manifest(text, media_type::oci_manifest));
    const VerifyReport report = verify(store);
    CHECK(report.findings.empty());
    REQUIRE(report.unjudged.size() == 1);
    CHECK(report.unjudged.front().problem.find("sha512") != std::string::npos);
}

TEST_CASE("everything that is wrong is found, not only the first") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    Parts parts = parts_of({put_layer(destination, kContent, Compression::zstd),
                            put_layer(destination, "second", Compression::gzip),
                            put_layer(destination, "third", Compression::none)});
    const std::vector<Descriptor> layers = parts.manifest.layers;
    parts.config.diff_ids[0] = Digest::of("other");
    parts.manifest.layers[1].media_type = media_type::oci_layer_zstd;
    parts.manifest.layers[2].size = 17;
    Descriptor missing = layers[2];
    missing.digest = Digest::of("never written");
    parts.manifest.layers.push_back(missing);
    parts.config.diff_ids.push_back(Digest::of("never written"));
    Descriptor top = put_parts(destination, parts);
    top.platform = Platform{.architecture = "arm64"};
    destination.publish(top);

    const VerifyReport report = verify(store);
    CHECK(has_finding(report, "layer " + layers[0].digest.text(), "diff_id " + Digest::of(kContent).text()));
    CHECK(has_finding(report, "layer " + layers[1].digest.text(), "compressed with gzip"));
    CHECK(has_finding(report, "layer " + layers[2].digest.text(), "5 bytes, its descriptor says 17"));
    CHECK(has_finding(report, "layer " + missing.digest.text(), "no blob"));
    CHECK(has_finding(report, "config", "the index says 'arm64'"));
    CHECK(report.findings.size() == 5);
}

TEST_CASE("documents that are broken are findings, and what they name is looked at") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    Parts parts = parts_of({put_layer(destination, "layer", Compression::gzip)});
    SECTION("too few diff_ids") {
        parts.config.diff_ids.clear();
        destination.publish(put_parts(destination, parts));
        CHECK(has_finding(verify(store), "config", "0 diff_ids, and the manifest 1 layers"));
    }
    SECTION("a manifest without config") {
        destination.publish(destination.put_manifest(R"({"schemaVersion":2,"layers":[]})", media_type::oci_manifest));
        CHECK(has_finding(verify(store), "manifest", "\"config\" is missing"));
    }
    SECTION("a descriptor with another type") {
        Descriptor top = put_parts(destination, parts);
        top.media_type = media_type::docker_manifest;
        destination.publish(top);
        CHECK(has_finding(verify(store), "manifest", "its descriptor says"));
    }
    SECTION("an index of two images, one of them missing") {
        ImageIndex index;
        index.manifests = {put_parts(destination, parts)};
        index.manifests[0].platform = Platform{.architecture = "amd64"};
        Descriptor missing = index.manifests[0];
        missing.digest = Digest::of("missing");
        index.manifests.push_back(missing);
        destination.publish(destination.put_manifest(to_json(index), media_type::oci_index));
        const VerifyReport report = verify(store);
        CHECK(has_finding(report, "manifest " + missing.digest.text(), "no blob"));
        CHECK(report.findings.size() == 1);
        CHECK(report.manifests == 3);
        CHECK(report.blobs == 2);
    }
    SECTION("an index that names itself, in a way") {
        ImageIndex index;
        index.manifests = {put_parts(destination, parts), put_parts(destination, parts)};
        destination.publish(destination.put_manifest(to_json(index), media_type::oci_index));
        CHECK(verify(store).findings.empty());
    }
}

TEST_CASE("changed files of a layout are found") {
    const TestFolder folder;
    OciLayoutDestination destination(folder.path / "layout", "v1");
    const StoredLayer layer = put_layer(destination, kContent, Compression::zstd);
    const Descriptor top = put_parts(destination, parts_of({layer}));
    destination.publish(top);
    const auto change = [&](const Digest& digest, std::uint64_t offset) {
        std::fstream file(folder.path / "layout" / "blobs" / "sha256" / digest.hex(),
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(static_cast<std::streamoff>(offset));
        const char byte = static_cast<char>(file.get() ^ 1);
        file.seekp(static_cast<std::streamoff>(offset));
        file.put(byte);
    };
    OciLayoutSource source(folder.path / "layout", "v1");
    CHECK(verify_image(source, {}).findings.empty());
    SECTION("in the layer's data") {
        change(layer.descriptor.digest, 20);
        const VerifyReport report = verify_image(source, {});
        CHECK(has_finding(report, "layer", "has the digest"));
        CHECK(report.findings.size() >= 1);
    }
    SECTION("in the layer's seek table") {
        change(layer.descriptor.digest, layer.descriptor.size - 9 - 8);
        const VerifyReport report = verify_image(source, {});
        CHECK(has_finding(report, "layer", "has the digest"));
        CHECK(has_finding(report, "layer", "seek table does not match"));
    }
    SECTION("in a manifest, whose layers are looked at all the same") {
        change(top.digest, top.size - 3);
        change(layer.descriptor.digest, 20);
        const VerifyReport report = verify_image(source, {});
        CHECK(has_finding(report, "manifest", "another digest"));
    }
}

TEST_CASE("a platform is chosen from an index") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    ImageIndex index;
    for (const char* architecture : {"amd64", "arm64"}) {
        Descriptor image = put_image(destination, architecture, architecture);
        image.platform = Platform{.architecture = architecture};
        index.manifests.push_back(image);
    }
    Descriptor attestation = put_image(destination, "attestation");
    attestation.platform = Platform{.architecture = "unknown", .os = "unknown"};
    index.manifests.push_back(attestation);
    const Descriptor top = destination.put_manifest(to_json(index), media_type::oci_index);
    destination.publish(top);
    MemorySource source(store);
    CHECK(select_manifest(source, top, "arm64").digest == index.manifests[1].digest);
    CHECK(select_manifest(source, index.manifests[0], "").digest == index.manifests[0].digest);
    CHECK_THROWS_WITH(select_manifest(source, top, "s390x"), Catch::Contains("linux/amd64, linux/arm64"));

    index.manifests = {index.manifests[0], attestation};
    const Descriptor one = destination.put_manifest(to_json(index), media_type::oci_index);
    CHECK(select_manifest(source, one, "").digest == index.manifests[0].digest);
    ImageIndex outer;
    outer.manifests = {one};
    const Descriptor nested = destination.put_manifest(to_json(outer), media_type::oci_index);
    CHECK(select_manifest(source, nested, "amd64").digest == index.manifests[0].digest);
    CHECK_THROWS_AS(select_manifest(source, {.media_type = "text/plain"}, ""), Error);
}

TEST_CASE("null computes the same digests") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination memory(store);
    NullDestination null;
    CHECK_FALSE(null.traits().stores_blobs);
    for (const Compression compression : {Compression::zstd, Compression::gzip, Compression::none})
        CHECK(put_layer(null, kContent, compression).descriptor == put_layer(memory, kContent, compression).descriptor);
    CHECK(put_image(null, "disk") == put_image(memory, "disk"));
}
