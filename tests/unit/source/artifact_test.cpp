// Disks that are stored as artifacts, by the forms that oras, podman and KubeVirt write.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/codec/layer_encoder.hpp"
#include "formats/oci/memory_store.hpp"
#include "formats/oci/verify.hpp"
#include "formats/tree/tar.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/image_content.hpp"

#include <catch2/catch.hpp>
#include <lzma.h>

using namespace vm2oci;

namespace {

class TextSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override { text.append(as_text(bytes)); }
    std::string text;
};

std::string packed(const std::string& content, CompressionSpec spec) {
    TextSink sink;
    LayerEncoder encoder(spec, sink, {});
    encoder.write(as_bytes(content));
    encoder.finish();
    return sink.text;
}

std::string packed_xz(const std::string& content) {
    std::string out(content.size() + 4096, '\0');
    std::size_t size = 0;
    REQUIRE(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(content.data()),
                                    content.size(), reinterpret_cast<std::uint8_t*>(out.data()), &size,
                                    out.size()) == LZMA_OK);
    out.resize(size);
    return out;
}

// An MBR with a partition, and something behind it.
std::string raw_disk() {
    std::string disk(256 * 1024, '\0');
    disk[446 + 4] = '\x83';
    disk[446 + 8] = 8;
    disk[446 + 12] = 16;
    disk[510] = '\x55';
    disk[511] = '\xaa';
    for (std::size_t i = 4096; i < 8192; ++i)
        disk[i] = static_cast<char>(i * 7);
    return disk;
}

std::string qcow2_disk() {
    std::string disk("QFI\xfb\0\0\0\3", 8);
    disk.resize(65536 * 3, '\0');
    return disk;
}

struct Artifact {
    std::string config_type = "application/vnd.oci.empty.v1+json";
    std::string artifact_type{};
    struct Layer {
        std::string type;
        std::string title;
        std::string bytes;
        Annotations annotations{};
    };
    std::vector<Layer> layers;
};

BlobIdentity put(ImageDestination& destination, const std::string& bytes) {
    const auto writer = destination.begin_blob();
    writer->write(as_bytes(bytes));
    return writer->commit();
}

Descriptor put_artifact(ImageDestination& destination, const Artifact& artifact) {
    const BlobIdentity config = put(destination, "{}");
    ImageManifest manifest;
    manifest.artifact_type = artifact.artifact_type;
    manifest.config = {.media_type = artifact.config_type, .digest = config.digest, .size = config.size};
    for (const Artifact::Layer& layer : artifact.layers) {
        const BlobIdentity blob = put(destination, layer.bytes);
        Descriptor descriptor{
            .media_type = layer.type, .digest = blob.digest, .size = blob.size, .annotations = layer.annotations};
        if (!layer.title.empty())
            descriptor.annotations["org.opencontainers.image.title"] = layer.title;
        manifest.layers.push_back(std::move(descriptor));
    }
    return destination.put_manifest(to_json(manifest), media_type::oci_manifest);
}

std::string read_disk(const Artifact& artifact) {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    destination.publish(put_artifact(destination, artifact));
    MemorySource source(store);
    CHECK(verify_image(source, {}).findings.empty());
    ImageContent image = read_image(source, "");
    image.verifier = std::make_shared<ContentVerifier>(image.parsed_manifest, image.config);
    const DiskInImage disk = find_disk(source, image, {});
    std::string text(disk.bytes->size(), '\0');
    disk.bytes->read_at(0, std::as_writable_bytes(std::span(text)));
    image.verifier->finish({});
    return text;
}

std::string refusal(const Artifact& artifact) {
    try {
        read_disk(artifact);
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::unsupported);
        return error.what();
    }
    FAIL("a disk was found");
    return "";
}

} // namespace

TEST_CASE("a disk that oras pushed is read") {
    const std::string raw = raw_disk();
    const std::string qcow2 = qcow2_disk();
    const std::string any = "application/vnd.oci.image.layer.v1.tar"; // what oras gives to a file without a type
    CHECK(read_disk({.layers = {{any, "web.qcow2", qcow2}}}) == qcow2);
    CHECK(read_disk({.layers = {{"application/octet-stream", "", raw}}}) == raw);
    CHECK(read_disk({.layers = {{any, "db.raw", raw}, {"text/markdown", "README.md", "# a disk"}}}) == raw);
    CHECK(read_disk({.layers = {{"application/gzip", "db.img.gz", packed(raw, {Compression::gzip, 6})}}}) == raw);
    CHECK(read_disk({.layers = {{"application/zstd", "db.raw.zst", packed(raw, {Compression::zstd, 3})}}}) == raw);
    CHECK(read_disk({.layers = {{"application/x-xz", "db.raw.xz", packed_xz(raw)}}}) == raw);
    CHECK(read_disk({.layers = {{"application/x-xz", "", packed_xz(qcow2)}}}) == qcow2);
    // Several streams behind each other, as xz -T and pixz write them.
    CHECK(read_disk({.layers = {{any, "x.img.xz", packed_xz(raw.substr(0, 5000)) + packed_xz(raw.substr(5000))}}}) ==
          raw);
}

TEST_CASE("podman's and KubeVirt's disks are read") {
    const std::string raw = raw_disk();
    const Artifact kubevirt{.config_type = "application/vnd.kubevirt.virtualmachine.config.v1+json",
                            .artifact_type = "application/vnd.kubevirt.virtualmachine.v1",
                            .layers = {{"application/vnd.kubevirt.disk.raw+zstd",
                                        "root.raw.zst",
                                        packed(raw, {Compression::zstd, 1}),
                                        {{"io.kubevirt.disk.name", "root"}, {"io.kubevirt.disk.size", "256Ki"}}}}};
    CHECK(read_disk(kubevirt) == raw);

    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    ImageIndex index;
    for (const auto& [type, title] : std::vector<std::pair<std::string, std::string>>{
             {"hyperv", "podman-machine.x86_64.hyperv.vhdx.zst"}, {"qemu", "podman-machine.x86_64.qemu.qcow2.zst"}}) {
        Descriptor entry = put_artifact(
            destination,
            {.layers = {{"application/zstd", title, packed(qcow2_disk() + type, {Compression::zstd, 3})}}});
        entry.annotations["disktype"] = type;
        entry.platform = Platform{.architecture = "x86_64"};
        index.manifests.push_back(entry);
    }
    destination.publish(destination.put_manifest(to_json(index), media_type::oci_index));
    MemorySource source(store);
    const DiskInImage disk = find_disk(source, read_image(source, "amd64"), {});
    CHECK(disk.path == "podman-machine.x86_64.qemu.qcow2.zst");
}

TEST_CASE("what is no disk is named by its type and title") {
    const std::string said = refusal({.layers = {{"application/vnd.example.model", "weights.bin", "not a disk at all"},
                                                 {"text/plain", "", "nor this"}}});
    CHECK_THAT(said, Catch::Contains("application/vnd.example.model") && Catch::Contains("weights.bin") &&
                         Catch::Contains("text/plain") && !Catch::Contains("tar"));
    CHECK_THAT(refusal({.layers = {{"application/x-xz", "notes.txt.xz", packed_xz("some text")}}}),
               Catch::Contains("notes.txt.xz"));
    CHECK_THAT(refusal({.layers = {}}), Catch::Contains("no layers"));
    CHECK_THAT(refusal({.layers = {{"a/b", "one.raw", raw_disk()}, {"a/b", "two.qcow2", qcow2_disk()}}}),
               Catch::Contains("several disks"));
}

TEST_CASE("what packs files is named, too, where none of them is a disk") {
    Entry chart;
    chart.path = "chart/values.yaml";
    chart.status.permissions = 0644;
    chart.status.size = 4;
    const std::string tar = tar_header(chart) + "a: 1" + std::string(508 + kTarEndSize, '\0');
    for (const char* type : {"application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/vnd.example.v1.tar"})
        CHECK_THAT(refusal({.layers = {{type, "", packed(tar, {Compression::gzip, 6})}}}),
                   Catch::Contains("artifact") && Catch::Contains(type));
}

TEST_CASE("a damaged xz stream is refused") {
    std::string bytes = packed_xz(raw_disk());
    CHECK_THROWS_WITH(read_disk({.layers = {{"a/b", "one.raw.xz", bytes.substr(0, bytes.size() - 9)}}}),
                      Catch::Contains("xz"));
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
    CHECK_THROWS_WITH(read_disk({.layers = {{"a/b", "one.raw.xz", bytes}}}), Catch::Contains("xz"));
}

TEST_CASE("an index may name what nobody knows") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    ImageIndex index;
    index.manifests.push_back(put_artifact(destination, {.layers = {{"a/b", "x.raw", raw_disk()}}}));
    index.manifests.back().platform = Platform{.architecture = "amd64"};
    const BlobIdentity foreign = put(destination, "a note");
    index.manifests.push_back(
        {.media_type = "application/vnd.example.note", .digest = foreign.digest, .size = foreign.size});
    const Descriptor top = destination.put_manifest(to_json(index), media_type::oci_index);
    destination.publish(top);
    MemorySource source(store);
    CHECK(verify_image(source, {}).findings.empty());
    CHECK(find_disk(source, read_image(source, ""), {}).path == "x.raw");

    // One that is damaged or missing is a finding all the same.
    index.manifests.back().digest = Digest::of("another note");
    destination.publish(destination.put_manifest(to_json(index), media_type::oci_index));
    CHECK(verify_image(source, {}).findings.size() == 1);
}
