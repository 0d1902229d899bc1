#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/codec/layer_encoder.hpp"
#include "formats/oci/archive.hpp"
#include "formats/oci/layout_index.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <barrier>
#include <fstream>
#include <thread>
#include <vector>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

std::string slurp(const fs::path& path) {
    return read_file(path, 64 << 20).value();
}

// Names and contents as another reader sees them; checks that nothing depends on who wrote it.
std::vector<std::pair<std::string, std::string>> unpack(const std::string& text) {
    const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
    archive_read_support_format_tar(reader.get());
    REQUIRE(archive_read_open_memory(reader.get(), text.data(), text.size()) == ARCHIVE_OK);
    std::vector<std::pair<std::string, std::string>> files;
    archive_entry* entry = nullptr;
    int result = ARCHIVE_OK;
    while ((result = archive_read_next_header(reader.get(), &entry)) == ARCHIVE_OK) {
        CHECK(archive_entry_mtime(entry) == 0);
        CHECK(archive_entry_uid(entry) == 0);
        std::string content(static_cast<std::size_t>(archive_entry_size(entry)), '\0');
        if (!content.empty())
            CHECK(archive_read_data(reader.get(), content.data(), content.size()) ==
                  static_cast<la_ssize_t>(content.size()));
        files.emplace_back(archive_entry_pathname(entry), std::move(content));
    }
    CHECK(result == ARCHIVE_EOF);
    return files;
}

} // namespace

TEST_CASE("an archive that is published can be read back") {
    const TestFolder folder;
    const fs::path file = folder.path / "image.tar";
    OciArchiveDestination destination(file, "v1");
    const Descriptor top = put_image(destination, "the disk");
    CHECK(fs::is_empty(folder.path)); // no name before publish()
    destination.publish(top);
    CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == (0666 & ~process_umask()));

    OciArchiveSource source(file, "v1", {});
    const ImageManifest manifest = parse_manifest(source.read_manifest(source.resolve()));
    CHECK(read_all(*source.open_blob(manifest.layers.at(0))) == "the disk");
    CHECK_THROWS_WITH(OciArchiveSource(file, "v2", {}).resolve(), Catch::Contains("'v1'"));

    const auto files = unpack(slurp(file));
    REQUIRE(files.size() == 7);
    CHECK(files[0].first == "oci-layout");
    CHECK(files[0].second == kLayoutFileText);
    CHECK(files[1].first == "blobs/");
    CHECK(files[2].first == "blobs/sha256/");
    for (std::size_t i = 3; i < 6; ++i)
        CHECK(files[i].first == "blobs/sha256/" + Digest::of(files[i].second).hex());
    CHECK(files[6].first == "index.json");
}

TEST_CASE("blobs that are written at once lie in the order in which they were begun") {
    const TestFolder folder;
    const auto write = [&](const fs::path& file, bool other_order) {
        OciArchiveDestination destination(file, "v1");
        std::unique_ptr<BlobWriter> first = destination.begin_blob(std::nullopt);
        std::unique_ptr<BlobWriter> dropped = destination.begin_blob(std::nullopt);
        std::unique_ptr<BlobWriter> second = destination.begin_blob(std::nullopt);
        std::unique_ptr<BlobWriter> again = destination.begin_blob(std::nullopt);
        dropped->write(as_bytes("rubbish"));
        const std::string long_text(3'000'000, 'x');
        if (other_order) {
            second->write(as_bytes(long_text));
            second->commit();
            again->write(as_bytes("first"));
            again->commit();
            dropped.reset();
            first->write(as_bytes("first"));
            first->commit();
        } else {
            first->write(as_bytes("first"));
            first->commit();
            second->write(as_bytes(long_text));
            dropped.reset();
            again->write(as_bytes("first"));
            again->commit();
            second->commit();
        }
        destination.publish(put_image(destination, "disk"));
    };
    write(folder.path / "a.tar", false);
    write(folder.path / "b.tar", true);
    const auto files = unpack(slurp(folder.path / "a.tar"));
    REQUIRE(files.size() == 9);
    CHECK(files[3].second == "first");
    CHECK(files[4].second.size() == 3'000'000);
    CHECK(slurp(folder.path / "a.tar") == slurp(folder.path / "b.tar"));
}

TEST_CASE("an archive that is dropped leaves what was there") {
    const TestFolder folder;
    const fs::path file = folder.path / "image.tar";
    {
        OciArchiveDestination destination(file, "v1");
        destination.publish(put_image(destination, "old"));
    }
    const std::string before = slurp(file);
    {
        OciArchiveDestination destination(file, "v2");
        put_image(destination, "new");
        const std::unique_ptr<BlobWriter> open = destination.begin_blob(std::nullopt);
        open->write(as_bytes("x"));
    }
    CHECK(slurp(file) == before);
}

namespace {

Digest add_to_archive(const fs::path& file, std::optional<std::string> tag, std::string_view content) {
    OciArchiveDestination destination(file, std::move(tag));
    const Descriptor top = put_image(destination, content);
    destination.publish(top);
    return top.digest;
}

std::string layer_text(const fs::path& file, const std::string& tag) {
    OciArchiveSource source(file, tag, {});
    return read_all(*source.open_blob(parse_manifest(source.read_manifest(source.resolve())).layers.at(0)));
}

} // namespace

TEST_CASE("another image is added to an archive, and the tags that are there stay") {
    const TestFolder folder;
    const fs::path file = folder.path / "images.tar";
    const Digest one = add_to_archive(file, "v1", "disk one");
    add_to_archive(file, "team/web:v2", "disk two");
    add_to_archive(file, std::nullopt, "disk three");
    CHECK(OciArchiveSource(file, "v1", {}).resolve().digest == one);
    CHECK(layer_text(file, "v1") == "disk one");
    CHECK(layer_text(file, "team/web:v2") == "disk two");
    CHECK(unpack(slurp(file)).size() == 3 + 3 * 3 + 1);

    // A tag that moves takes what it alone reached along.
    add_to_archive(file, "v1", "disk four");
    CHECK(layer_text(file, "v1") == "disk four");
    CHECK(layer_text(file, "team/web:v2") == "disk two");
    CHECK(unpack(slurp(file)).size() == 3 + 3 * 3 + 1);
    // The same image again makes the same archive; one that is there under another tag is stored once.
    const std::string before = slurp(file);
    add_to_archive(file, "v1", "disk four");
    add_to_archive(file, "v1", "disk four");
    CHECK(unpack(slurp(file)).size() == unpack(before).size());
    add_to_archive(file, "v5", "disk two");
    CHECK(unpack(slurp(file)).size() == 3 + 3 * 3 + 1);
}

TEST_CASE("an index in an archive keeps all its images") {
    const TestFolder folder;
    const fs::path file = folder.path / "both.tar";
    {
        OciArchiveDestination destination(file, "both");
        ImageIndex index;
        for (const char* architecture : {"ppc64le", "riscv64"}) {
            index.manifests.push_back(put_image(destination, architecture, architecture));
            index.manifests.back().platform = Platform{.architecture = architecture};
        }
        // Named and not copied, as in a sparse archive.
        index.manifests.push_back({.media_type = media_type::oci_manifest, .digest = Digest::of("absent"), .size = 6});
        destination.publish(destination.put_manifest(to_json(index), media_type::oci_index));
    }
    add_to_archive(file, "other", "other disk");
    OciArchiveSource source(file, "both", {});
    const ImageIndex index = parse_index(source.read_manifest(source.resolve()));
    for (std::size_t i = 0; i < 2; ++i) {
        const ImageManifest manifest = parse_manifest(source.read_manifest(index.manifests.at(i)));
        CHECK(read_all(*source.open_blob(manifest.layers.at(0))) == index.manifests.at(i).platform->architecture);
    }
}

TEST_CASE("what somebody else adds to an archive meanwhile stays") {
    const TestFolder folder;
    const fs::path file = folder.path / "images.tar";
    add_to_archive(file, "first", "disk one");
    OciArchiveDestination slow(file, "slow");
    const Descriptor top = put_image(slow, "disk of the slow");
    add_to_archive(file, "quick", "disk of the quick");
    slow.publish(top);
    for (const char* tag : {"first", "quick", "slow"})
        CHECK_NOTHROW(layer_text(file, tag));
}

TEST_CASE("images that are published at the same moment all stay") {
    const TestFolder folder;
    const fs::path file = folder.path / "fleet.tar";
    std::vector<std::thread> writers;
    std::barrier ready(8);
    for (int i = 0; i < 8; ++i)
        writers.emplace_back([&, i] {
            OciArchiveDestination destination(file, "web" + std::to_string(i));
            const Descriptor top = put_image(destination, "disk of " + std::to_string(i));
            ready.arrive_and_wait();
            destination.publish(top);
        });
    for (std::thread& writer : writers)
        writer.join();
    for (int i = 0; i < 8; ++i)
        CHECK(layer_text(file, "web" + std::to_string(i)) == "disk of " + std::to_string(i));
    CHECK(unpack(slurp(file)).size() == 3 + 8 * 3 + 1);
}

TEST_CASE("an archive whose index was cut off is not replaced") {
    const TestFolder folder;
    const fs::path file = folder.path / "cut.tar";
    add_to_archive(file, "old", std::string(9000, 'o'));
    const std::string whole = slurp(file);
    const std::size_t index = whole.find("index.json");
    REQUIRE(index != std::string::npos);
    for (const std::size_t size : {index, std::size_t{6000}, std::size_t{2000}, std::size_t{1024}}) {
        std::ofstream(file, std::ios::binary) << whole.substr(0, size);
        CHECK_THROWS_WITH(OciArchiveDestination(file, "new"),
                          Catch::Contains("remove it") && (Catch::Contains("index.json") || Catch::Contains("no OCI")));
        CHECK(slurp(file) == whole.substr(0, size));
    }
}

TEST_CASE("a damaged blob of an archive does not count, and is not taken over") {
    const TestFolder folder;
    const fs::path file = folder.path / "image.tar";
    add_to_archive(file, "v1", "a disk with a fault");
    std::string bytes = slurp(file);
    const std::size_t at = bytes.find("a disk with a fault");
    REQUIRE(at != std::string::npos);
    bytes[at] = 'A';
    std::ofstream(file, std::ios::binary) << bytes;

    const Digest good = Digest::of("a disk with a fault");
    OciArchiveDestination same(file, "v1");
    CHECK_FALSE(same.has_blob({.digest = good, .size = 19}));
    same.publish(put_image(same, "a disk with a fault"));
    CHECK(layer_text(file, "v1") == "a disk with a fault");
    OciArchiveDestination again(file, "v1");
    CHECK(again.has_blob({.digest = good, .size = 19}));

    std::ofstream(file, std::ios::binary) << bytes;
    OciArchiveDestination other(file, "v2");
    const Descriptor top = put_image(other, "another disk");
    CHECK_THROWS_WITH(other.publish(top), Catch::Contains("damaged") && Catch::Contains(good.text()));
    CHECK(slurp(file) == bytes);
}

TEST_CASE("a blob that the archive has need not be written again") {
    const TestFolder folder;
    const fs::path file = folder.path / "image.tar";
    add_to_archive(file, "v1", "shared disk");
    OciArchiveDestination destination(file, "v2");
    const Digest layer = Digest::of("shared disk");
    REQUIRE(destination.has_blob({.digest = layer, .size = 11}));
    ImageManifest manifest;
    const BlobIdentity config = put_blob(destination, "{}");
    manifest.config = {.media_type = "application/vnd.example+json", .digest = config.digest, .size = config.size};
    manifest.layers = {{.media_type = media_type::oci_layer, .digest = layer, .size = 11}};
    destination.publish(destination.put_manifest(to_json(manifest), media_type::oci_manifest));
    CHECK(layer_text(file, "v1") == "shared disk");
    CHECK(layer_text(file, "v2") == "shared disk");
}

TEST_CASE("an image without a tag is called after its file by those who import it") {
    CHECK(import_name("/a/web01.tar") == "localhost/web01:latest");
    CHECK(import_name("My Disk_v1.2.oci.tar") == "localhost/my-disk-v1-2:latest");
    CHECK(import_name("--.tar.gz") == "localhost/image:latest");
    const TestFolder folder;
    add_to_archive(folder.path / "Db02.tar", std::nullopt, "disk");
    const Descriptor top = OciArchiveSource(folder.path / "Db02.tar", std::nullopt, {}).resolve();
    CHECK(top.annotations.at("io.containerd.image.name") == "localhost/db02:latest");
    CHECK_FALSE(top.annotations.contains(kRefNameAnnotation));
    // It is a name in that archive, and none for a copy with a tag.
    CHECK(layout_index_with(empty_layout_index(), top, "v1").find("localhost") == std::string::npos);
}

TEST_CASE("a file that is no archive is not overwritten") {
    const TestFolder folder;
    std::ofstream(folder.path / "disk.raw") << std::string(5000, 'd');
    CHECK_THROWS_AS(OciArchiveDestination(folder.path / "disk.raw", "v1"), Error);
    CHECK_THROWS_AS(OciArchiveDestination(folder.path, "v1"), Error);
    CHECK_THROWS_AS(OciArchiveDestination(folder.path / "absent" / "x.tar", "v1").begin_blob(std::nullopt), Error);
    CHECK_THROWS_AS(OciArchiveSource(folder.path / "disk.raw", "v1", {}), Error);
    std::ofstream(folder.path / "empty") << "";
    CHECK_NOTHROW(OciArchiveDestination(folder.path / "empty", "v1"));
}

TEST_CASE("a compressed archive is read as well") {
    const TestFolder folder;
    const fs::path file = folder.path / "image.tar";
    OciArchiveDestination destination(file, "v1");
    destination.publish(put_image(destination, "the disk"));
    class FileSink final : public ByteSink {
      public:
        explicit FileSink(const fs::path& path) : file_(path, std::ios::binary) {}
        void write(std::span<const std::byte> bytes) override { file_ << as_text(bytes) << std::flush; }

      private:
        std::ofstream file_;
    };
    FileSink sink(folder.path / "image.tar.gz");
    LayerEncoder encoder({Compression::gzip, 1}, sink, {});
    encoder.write(as_bytes(slurp(file)));
    encoder.finish();
    OciArchiveSource source(folder.path / "image.tar.gz", std::nullopt, {});
    const ImageManifest manifest = parse_manifest(source.read_manifest(source.resolve()));
    CHECK(read_all(*source.open_blob(manifest.layers.at(0))) == "the disk");
}

TEST_CASE("what an archive was given can be read before it is published") {
    const TestFolder folder;
    OciArchiveDestination destination(folder.path / "image.tar", "v1");
    const auto first = destination.begin_blob(std::nullopt);
    first->write(as_bytes("first"));
    const BlobIdentity second = put_blob(destination, "second, by way of a scratch file");
    const Descriptor second_blob{.digest = second.digest, .size = second.size};
    CHECK(destination.open_written(second_blob) == nullptr); // it has no place yet
    const BlobIdentity one = first->commit();
    CHECK(read_all(*destination.open_written({.digest = one.digest, .size = one.size})) == "first");
    CHECK(read_all(*destination.open_written(second_blob)) == "second, by way of a scratch file");
    const Descriptor top = put_image(destination, "the disk");
    CHECK(parse_manifest(read_all(*destination.open_written(top))).layers.size() == 1);
}
