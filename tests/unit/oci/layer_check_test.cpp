// What a layer's media type says of it, and what is said when its bytes say otherwise; blobs in files and in memory.
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/layer_check.hpp"
#include "formats/oci/layer_writer.hpp"
#include "formats/oci/memory_store.hpp"
#include "formats/oci/null_store.hpp"
#include "formats/oci/stored_blob.hpp"
#include "tests/support/error_of.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace vm2oci;
using test::error_of;

TEST_CASE("what a layer is, by the media types that are in use") {
    struct Case {
        const char* type;
        LayerKind kind;
        bool may_be_elsewhere = false;
    };
    for (const Case& one : {
             Case{"application/vnd.oci.image.layer.v1.tar", LayerKind::file_system},
             Case{"application/vnd.oci.image.layer.v1.tar+gzip", LayerKind::file_system},
             Case{"application/vnd.oci.image.layer.v1.tar+zstd", LayerKind::file_system},
             Case{"application/vnd.docker.image.rootfs.diff.tar", LayerKind::file_system},
             Case{"application/vnd.docker.image.rootfs.diff.tar.gzip", LayerKind::file_system},
             Case{"application/vnd.docker.image.rootfs.diff.tar.zstd", LayerKind::file_system},
             Case{"application/vnd.oci.image.layer.v1.tar+xz", LayerKind::file_system},
             Case{"application/vnd.oci.image.layer.v1.tar+bzip2", LayerKind::file_system},
             Case{"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", LayerKind::file_system, true},
             Case{"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", LayerKind::file_system, true},
             Case{"application/vnd.oci.image.layer.v1.tar+gzip+encrypted", LayerKind::encrypted},
             Case{"application/vnd.oci.image.layer.v1.tar+zstd+encrypted", LayerKind::encrypted},
             Case{"application/vnd.oci.image.layer.v1.tar+encrypted", LayerKind::encrypted},
             Case{"application/vnd.oci.image.layer.nydus.blob.v1", LayerKind::foreign_form},
             Case{"application/vnd.oci.image.layer.v1.erofs", LayerKind::foreign_form},
             Case{"application/vnd.docker.image.rootfs.diff.squashfs", LayerKind::foreign_form},
             Case{"application/vnd.cncf.helm.chart.content.v1.tar+gzip", LayerKind::file_system},
             Case{"application/vnd.in-toto+json", LayerKind::opaque},
             Case{"application/vnd.dev.cosign.simplesigning.v1+json", LayerKind::opaque},
             Case{"application/octet-stream", LayerKind::opaque},
             Case{"", LayerKind::opaque},
             Case{"text/plain", LayerKind::opaque},
         }) {
        INFO(one.type);
        CHECK(layer_kind(one.type) == one.kind);
        CHECK(may_be_elsewhere(one.type) == one.may_be_elsewhere);
    }
}

namespace {

Digest digest(const std::string& name) {
    return Digest::of(name);
}

LayerExpectation expected(const std::string& type = media_type::oci_layer_zstd) {
    return {{.media_type = type, .digest = digest("stored"), .size = 100}, digest("content"), layer_kind(type)};
}

LayerFacts facts() {
    LayerFacts facts;
    facts.digest = digest("stored");
    facts.stored_size = 100;
    facts.content_size = 1000;
    facts.diff_id = digest("content");
    facts.compression = Compression::zstd;
    return facts;
}

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("a layer that is what all say of it gives no words") {
    const LayerVerdict verdict = compare_layer(facts(), {expected(), expected()});
    CHECK(verdict.problems.empty());
    CHECK(verdict.remarks.empty());
    CHECK(compare_layer(facts(), {}).problems.empty());
}

TEST_CASE("each thing that is said of a layer is held against it") {
    LayerFacts other = facts();
    other.digest = digest("other");
    CHECK(compare_layer(other, {expected()}).problems == Lines{"its content has the digest " + digest("other").text()});
    other = facts();
    other.stored_size = 101;
    CHECK(compare_layer(other, {expected()}).problems == Lines{"it has 101 bytes, its descriptor says 100"});
    other = facts();
    other.diff_id = digest("other");
    const std::string differs = fmt::format("its content has the diff_id {}, and the config says {}",
                                            digest("other").text(), digest("content").text());
    // Said once, by however many manifests.
    CHECK(compare_layer(other, {expected(), expected()}).problems == Lines{differs});
    other = facts();
    other.compression = Compression::gzip;
    CHECK(compare_layer(other, {expected()}).problems ==
          Lines{"it is compressed with gzip, and its media type says zstd"});
    other.compression = Compression::none;
    CHECK(compare_layer(other, {expected()}).problems ==
          Lines{"it is compressed with none, and its media type says zstd"});
    // bzip2 is said by no compression that is decoded here.
    CHECK(compare_layer(other, {expected("application/vnd.oci.image.layer.v1.tar+bzip2")}).problems.empty());
    for (const auto& [type, compression] : {std::pair{"x.tar+zstd", Compression::zstd},
                                            {"x.tar.zstd", Compression::zstd},
                                            {"x.tar+gzip", Compression::gzip},
                                            {"x.tar.gzip", Compression::gzip},
                                            {"x.tar+xz", Compression::xz},
                                            {"x.tar", Compression::none}})
        for (const Compression real : {Compression::zstd, Compression::gzip, Compression::xz, Compression::none}) {
            other.compression = real;
            CHECK(compare_layer(other, {expected(type)}).problems.empty() == (real == compression));
        }
    // What could not be decoded is said already.
    LayerFacts broken = facts();
    broken.diff_id.reset();
    broken.compression.reset();
    broken.problems = {"it is cut"};
    broken.remarks = {"and odd"};
    CHECK(compare_layer(broken, {expected()}).problems == Lines{"it is cut"});
    CHECK(compare_layer(broken, {expected()}).remarks == Lines{"and odd"});
    LayerExpectation nothing = expected();
    nothing.diff_id.reset();
    other = facts();
    other.diff_id = digest("other");
    CHECK(compare_layer(other, {nothing}).problems.empty());
}

TEST_CASE("of what is not decoded the stored bytes are held against the diff_id, or nothing is") {
    LayerFacts bytes = facts();
    bytes.diff_id.reset();
    bytes.compression.reset();
    const LayerVerdict opaque = compare_layer(bytes, {expected("application/vnd.in-toto+json")});
    CHECK(opaque.problems == Lines{fmt::format("its content has the digest {}, and the config says {}",
                                               digest("stored").text(), digest("content").text())});
    LayerExpectation same = expected("application/vnd.in-toto+json");
    same.diff_id = digest("stored");
    CHECK(compare_layer(bytes, {same}).problems.empty());
    const LayerVerdict encrypted = compare_layer(bytes, {expected("x.tar+gzip+encrypted")});
    CHECK(encrypted.problems.empty());
    CHECK(encrypted.remarks == Lines{"it is encrypted: what it unpacks to cannot be held against its diff_id"});
    const LayerVerdict nydus = compare_layer(bytes, {expected("application/vnd.oci.image.layer.nydus.blob.v1")});
    CHECK(nydus.problems.empty());
    CHECK(nydus.remarks == Lines{"'application/vnd.oci.image.layer.nydus.blob.v1' is not known here: what it unpacks "
                                 "to cannot be held against its diff_id"});
    LayerExpectation known = expected("application/vnd.oci.image.layer.nydus.blob.v1");
    known.diff_id = digest("stored");
    CHECK(compare_layer(bytes, {known}).remarks.empty());
}

TEST_CASE("a layer is read once: its bytes, its content, what is wrong in it") {
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination inside(store);
    MemorySource source(store);
    const std::string content(3000, 'c');
    for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
        LayerWriter writer(inside, CompressionSpec{compression, 0}, {});
        writer.write(as_bytes(content));
        const StoredLayer layer = writer.finish();
        const LayerFacts read = read_layer(source, {layer.descriptor, layer.diff_id}, {});
        CHECK(read.digest == layer.descriptor.digest);
        CHECK(read.stored_size == layer.descriptor.size);
        CHECK(read.content_size == 3000);
        CHECK(read.diff_id == Digest::of(content));
        CHECK(read.compression == compression);
        CHECK(read.problems.empty());
        CHECK(read.remarks.empty());
        // As bytes, it is not decoded.
        const LayerFacts bytes = read_layer(source, {layer.descriptor, {}, LayerKind::opaque}, {});
        CHECK(bytes.digest == layer.descriptor.digest);
        CHECK_FALSE(bytes.diff_id);
        CHECK(bytes.content_size == 0);
        // Cut, it is hashed to its end all the same.
        if (compression == Compression::none)
            continue;
        const std::string cut = read_all(*source.open_blob(layer.descriptor)).substr(0, 25);
        const BlobIdentity blob = put_blob(inside, cut);
        const LayerFacts broken = read_layer(source, {{.digest = blob.digest, .size = blob.size}, {}}, {});
        CHECK(broken.digest == Digest::of(cut));
        CHECK(broken.stored_size == 25);
        CHECK_FALSE(broken.diff_id);
        CHECK(broken.problems.size() == 1);
    }
    Cancellation cancellation;
    cancellation.cancel();
    OperationContext operation;
    operation.cancellation = &cancellation;
    const BlobIdentity blob = put_blob(inside, "bytes");
    CHECK(error_of([&] {
              read_layer(source, {{.digest = blob.digest, .size = 5}, {}}, operation);
          }).kind() == ErrorKind::cancelled);
}

TEST_CASE("layers have the media type of their compression, and none of xz") {
    CHECK(layer_media_type(Compression::none) == "application/vnd.oci.image.layer.v1.tar");
    CHECK(layer_media_type(Compression::gzip) == "application/vnd.oci.image.layer.v1.tar+gzip");
    CHECK(layer_media_type(Compression::zstd) == "application/vnd.oci.image.layer.v1.tar+zstd");
    CHECK(error_of([] { layer_media_type(Compression::xz); }).kind() == ErrorKind::usage);
    MemoryDestination inside(std::make_shared<MemoryStore>());
    LayerOptions chunked = CompressionSpec{Compression::gzip, 0};
    chunked.form = LayerForm::chunked;
    CHECK(error_of([&] { LayerWriter(inside, chunked, {}); }).message() ==
          "a chunked layer is compressed with zstd, not with gzip");
    LayerOptions artifact = CompressionSpec{Compression::zstd, 0};
    artifact.content_digest = ContentDigest::leave_out;
    LayerWriter writer(inside, artifact, {});
    writer.write(as_bytes("x"));
    CHECK(writer.finish().diff_id.empty());
    LayerWriter plain(inside, CompressionSpec{Compression::none, 0}, {});
    plain.write(as_bytes("abc"));
    const StoredLayer stored = plain.finish();
    CHECK(stored.diff_id == stored.descriptor.digest);
    CHECK(stored.descriptor.digest == Digest::of("abc"));
    CHECK(stored.frames.empty());
}

TEST_CASE("a range of a file is a blob, and outlives the descriptor that it came from") {
    const TestFolder folder;
    UniqueFd file = scratch_file(folder.path);
    write_exactly(file.get(), as_bytes("0123456789"));
    const auto range = duplicate_range(file.get(), 3, 5);
    file.reset();
    CHECK(range->size() == 5);
    CHECK(read_all(*range) == "34567");
    CHECK(range->extent_at(2).length == 3);
    CHECK(range->extent_at(2).kind == ExtentKind::data);
    std::byte two[2];
    range->read_at(3, two);
    CHECK(as_text(two) == "67");
    CHECK_THROWS_AS(range->read_at(4, two), Error);
    CHECK_THROWS_AS(range->extent_at(5), Error);
    CHECK_THROWS_AS(duplicate_range(-1, 0, 1), Error);
    // A file that became shorter is no zeros.
    UniqueFd shorter = scratch_file(folder.path);
    write_exactly(shorter.get(), as_bytes("012"));
    CHECK(error_of([&] { read_all(*duplicate_range(shorter.get(), 0, 4)); }).kind() == ErrorKind::corrupt);
}

TEST_CASE("a blob in memory is read like one in a file") {
    const TextBlob blob(std::make_shared<const std::string>("0123456789"));
    CHECK(read_all(blob) == "0123456789");
    std::byte three[3];
    blob.read_at(7, three);
    CHECK(as_text(three) == "789");
    CHECK_THROWS_AS(blob.read_at(8, three), Error);
    CHECK(blob.extent_at(9).length == 1);
    CHECK_THROWS_AS(blob.extent_at(10), Error);
    CHECK(is_whole_blob(blob, {Digest::of("0123456789"), 10}, {}));
    CHECK_FALSE(is_whole_blob(blob, {Digest::of("0123456789"), 9}, {}));
    CHECK_FALSE(is_whole_blob(blob, {Digest::of("012345678"), 10}, {}));
    // Over more than one step of a MiB.
    const std::string large = std::string(1 * MiB, 'a') + "b";
    const TextBlob steps(std::make_shared<const std::string>(large));
    CHECK(is_whole_blob(steps, {Digest::of(large), large.size()}, {}));
    CHECK_FALSE(is_whole_blob(steps, {Digest::of(std::string(1 * MiB, 'a') + "c"), large.size()}, {}));
    CHECK(is_whole_blob(TextBlob(std::make_shared<const std::string>("")), {Digest::of(""), 0}, {}));
}

TEST_CASE("a manifest's blob has its size, its digest, and 4 MiB at most") {
    const auto blob = [](std::string text) { return TextBlob(std::make_shared<const std::string>(std::move(text))); };
    const Descriptor manifest{.media_type = "m", .digest = Digest::of("text"), .size = 4};
    CHECK(read_manifest_blob(blob("text"), manifest) == "text");
    const Error longer = error_of([&] { read_manifest_blob(blob("texts"), manifest); });
    CHECK(longer.kind() == ErrorKind::corrupt);
    CHECK(longer.message() == "blob " + manifest.digest.text() + " has 5 bytes, and its descriptor says 4");
    const Error other = error_of([&] { read_manifest_blob(blob("test"), manifest); });
    CHECK(other.message() ==
          "the content of " + manifest.digest.text() + " has another digest, " + Digest::of("test").text());
    CHECK(read_small_file(blob(std::string(4 * MiB, 'x')), "it").size() == 4 * MiB);
    const Error large = error_of([&] { read_small_file(blob(std::string(4 * MiB + 1, 'x')), "it"); });
    CHECK(large.kind() == ErrorKind::limit);
    CHECK(large.message() == "it has 4.0 MiB; at most 4 MiB are read");
}
