#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/oci/layout.hpp"
#include "formats/oci/layout_index.hpp"
#include "formats/oci/null_store.hpp"
#include "formats/oci/select.hpp"
#include "formats/oci/verify.hpp"
#include "formats/oci/written_image.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

std::string slurp(const fs::path& path) {
    return read_file(path, 1 << 20).value();
}

struct stat status_of(const fs::path& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status;
}

unsigned mode_of(const fs::path& path) {
    return status_of(path).st_mode & 07777;
}

} // namespace

TEST_CASE("an image that is published can be read back") {
    const TestFolder folder;
    const fs::path layout = folder.path / "a" / "layout";
    OciLayoutDestination destination(layout, "v1");
    const Descriptor top = put_image(destination, "the disk");
    CHECK_FALSE(fs::exists(layout / "index.json"));
    CHECK(fs::is_empty(layout / "blobs" / "sha256")); // not before publish()
    CHECK(destination.has_blob(top));
    destination.publish(top);
    const unsigned mask = process_umask();

    CHECK(slurp(layout / "oci-layout") == kLayoutFileText);
    CHECK(mode_of(layout) == (0777 & ~mask));
    CHECK(mode_of(layout / "blobs" / "sha256") == (0777 & ~mask));
    CHECK(mode_of(layout / "index.json") == (0666 & ~mask));
    CHECK(mode_of(layout / "blobs" / "sha256" / top.digest.hex()) == (0666 & ~mask));

    OciLayoutSource source(layout, "v1");
    const Descriptor found = source.resolve();
    CHECK(found.digest == top.digest);
    CHECK(found.size == top.size);
    const ImageManifest manifest = parse_manifest(source.read_manifest(found));
    CHECK(read_all(*source.open_blob(manifest.layers.at(0))) == "the disk");
    CHECK(OciLayoutSource(layout, std::nullopt).resolve().digest == top.digest);
}

TEST_CASE("what is not published leaves nothing") {
    const TestFolder folder;
    {
        OciLayoutDestination destination(folder.path / "a" / "layout", "v1");
        put_image(destination, "the disk");
        const std::unique_ptr<BlobWriter> unfinished = destination.begin_blob(std::nullopt);
        unfinished->write(as_bytes("x"));
    }
    CHECK(fs::is_empty(folder.path));
}

TEST_CASE("tags are added and moved, and the others stay") {
    const TestFolder folder;
    const auto publish = [&](std::optional<std::string> tag, std::string_view content) {
        OciLayoutDestination destination(folder.path, std::move(tag));
        const Descriptor top = put_image(destination, content);
        destination.publish(top);
        return top.digest;
    };
    const Digest one = publish("v1", "one");
    const Digest two = publish("v2", "two");
    CHECK(OciLayoutSource(folder.path, "v1").resolve().digest == one);
    CHECK(OciLayoutSource(folder.path, "v2").resolve().digest == two);
    CHECK_THROWS_WITH(OciLayoutSource(folder.path, "v3").resolve(), Catch::Contains("'v1', 'v2'"));
    CHECK_THROWS_WITH(OciLayoutSource(folder.path, std::nullopt).resolve(), Catch::Contains("'v1', 'v2'"));

    const Digest moved = publish("v1", "three");
    CHECK(OciLayoutSource(folder.path, "v1").resolve().digest == moved);
    CHECK(OciLayoutSource(folder.path, "v2").resolve().digest == two);
    CHECK(layout_index_tags(slurp(folder.path / "index.json")) == std::vector<std::string>{"v1", "v2"});

    // The same again changes nothing, not even the file.
    const auto before = status_of(folder.path / "index.json").st_ino;
    publish("v1", "three");
    CHECK(status_of(folder.path / "index.json").st_ino == before);
}

TEST_CASE("a layout's image is named by its digest too") {
    const TestFolder folder;
    const auto publish = [&](const std::string& tag, std::string_view content) {
        OciLayoutDestination destination(folder.path, tag);
        const Descriptor top = put_image(destination, content);
        destination.publish(top);
        return top.digest.text();
    };
    const std::string one = publish("v1", "one");
    const std::string two = publish("registry.example:5000/x:v2", "two");
    CHECK(OciLayoutSource(folder.path, one).resolve().digest.text() == one);
    CHECK(OciLayoutSource(folder.path, "v1@" + two).resolve().digest.text() == two); // the digest decides
    CHECK_THROWS_WITH(OciLayoutSource(folder.path, "v1@sha256:" + std::string(64, '0')).resolve(),
                      Catch::Contains("no image sha256:000"));
    CHECK_THROWS_WITH(OciLayoutSource(folder.path, "v3@sha256:12").resolve(), Catch::Contains("no tag"));
    CHECK_THROWS_WITH(OciLayoutDestination(folder.path, "v1@" + two), Catch::Contains("without one"));
}

TEST_CASE("a blob that exists is reused") {
    const TestFolder folder;
    Digest layer;
    for (const char* tag : {"v1", "v2"}) {
        OciLayoutDestination destination(folder.path, tag);
        layer = put_blob(destination, "shared").digest;
        destination.publish(put_image(destination, tag));
        const fs::path path = folder.path / "blobs" / "sha256" / layer.hex();
        if (std::string_view(tag) == "v1")
            fs::permissions(path, fs::perms::owner_read); // shows below that the file is the same
        else
            CHECK(mode_of(path) == 0400);
    }
    // A file of that name and another size is no blob: it is replaced.
    const fs::path path = folder.path / "blobs" / "sha256" / layer.hex();
    fs::resize_file(path, 2);
    OciLayoutDestination destination(folder.path, "v3");
    put_blob(destination, "shared");
    destination.publish(put_image(destination, "v3"));
    CHECK(slurp(path) == "shared");
}

TEST_CASE("a damaged blob of the right size is mended by the next run") {
    const TestFolder folder;
    const auto publish = [&] {
        OciLayoutDestination destination(folder.path, "v1");
        destination.publish(put_image(destination, "a disk that rots"));
    };
    publish();
    const Digest digest = Digest::of("a disk that rots");
    const fs::path path = folder.path / "blobs" / "sha256" / digest.hex();
    std::ofstream(path, std::ios::binary) << "a disk that r0ts";
    OciLayoutDestination destination(folder.path, "v2");
    CHECK_FALSE(destination.has_blob({.digest = digest, .size = 16}));
    publish();
    CHECK(slurp(path) == "a disk that rots");
    OciLayoutDestination after(folder.path, "v2");
    CHECK(after.has_blob({.digest = digest, .size = 16}));
    CHECK_FALSE(after.has_blob({.digest = digest, .size = 15}));
}

TEST_CASE("who could not read a layout's files cannot read those that take their place") {
    const TestFolder folder;
    const auto publish = [&](const char* tag) {
        OciLayoutDestination destination(folder.path, tag);
        destination.publish(put_image(destination, "a private disk"));
    };
    publish("v1");
    const fs::path index = folder.path / "index.json";
    const fs::path blob = folder.path / "blobs" / "sha256" / Digest::of("a private disk").hex();
    fs::permissions(index, fs::perms{0600});
    fs::permissions(blob, fs::perms{0640});
    std::ofstream(blob, std::ios::binary) << "a pr1vate disk";
    publish("v2");
    CHECK(slurp(blob) == "a private disk");
    CHECK(mode_of(blob) == 0640);
    CHECK(mode_of(index) == 0600);
    CHECK(layout_index_tags(slurp(index)).size() == 2);
}

TEST_CASE("what others keep inside a layout is no obstacle") {
    const TestFolder folder;
    const fs::path layout = folder.path / "layout";
    OciLayoutDestination first(layout, "v1");
    first.publish(put_image(first, "one"));
    fs::create_directories(layout / "blobs" / "sha512" / "x");
    fs::create_directories(layout / "blobs" / "sha256" / "a folder");
    fs::create_directories(layout / ".git");
    std::ofstream(layout / "manifest.json") << "[]"; // docker save
    OciLayoutDestination second(layout, "v2");
    second.publish(put_image(second, "two"));
    CHECK(OciLayoutSource(layout, "v1").resolve().digest != OciLayoutSource(layout, "v2").resolve().digest);
    CHECK(fs::exists(layout / "manifest.json"));
}

TEST_CASE("index.json does not outgrow what is read again") {
    const TestFolder folder;
    std::string entries;
    for (unsigned i = 0; entries.size() < 4'194'000; ++i)
        entries += fmt::format("{}{{\"mediaType\":\"{}\",\"digest\":\"{}\",\"size\":7,\"annotations\":"
                               "{{\"org.opencontainers.image.ref.name\":\"tag{}\"}}}}",
                               i == 0 ? "" : ",", media_type::oci_manifest, Digest::of(std::to_string(i)).text(), i);
    std::ofstream(folder.path / "oci-layout") << kLayoutFileText;
    std::ofstream(folder.path / "index.json") << R"({"schemaVersion":2,"manifests":[)" << entries << "]}";
    const std::string before = read_file(folder.path / "index.json", 8 << 20).value();
    CHECK_THROWS_WITH(OciLayoutDestination(folder.path, "new"), Catch::Contains("at most 4 MiB"));
    CHECK(read_file(folder.path / "index.json", 8 << 20).value() == before);
}

TEST_CASE("entries of a layout for several platforms are one image") {
    const TestFolder folder;
    const auto write_index = [&](const std::vector<Descriptor>& entries) {
        ImageIndex index;
        index.manifests = entries;
        std::ofstream(folder.path / "index.json") << to_json(index);
    };
    std::vector<Descriptor> entries;
    {
        OciLayoutDestination destination(folder.path, "x");
        for (const char* architecture : {"ppc64le", "s390x"}) {
            entries.push_back(put_image(destination, architecture, architecture));
            entries.back().platform = Platform{.architecture = architecture};
        }
        destination.publish(entries[0]);
    }
    const auto chosen = [&](const std::optional<std::string>& tag, const std::string& architecture) {
        OciLayoutSource source(folder.path, tag);
        const Descriptor top = source.resolve();
        CHECK(top.digest == Digest::of(source.read_manifest(top)));
        return select_manifest(source, top, architecture).digest;
    };
    write_index(entries); // as some builders leave it: nothing has a name
    CHECK(chosen(std::nullopt, "s390x") == entries[1].digest);
    CHECK(chosen(std::nullopt, "ppc64le") == entries[0].digest);
    OciLayoutSource all(folder.path, std::nullopt);
    CHECK(verify_image(all, {}).findings.empty());

    for (Descriptor& entry : entries) // as image-layout.md shows it
        entry.annotations[kRefNameAnnotation] = "v2";
    write_index(entries);
    CHECK(chosen("v2", "s390x") == entries[1].digest);
    OciLayoutSource one(folder.path, "v2");
    CHECK(verify_image(one, {}).findings.empty());

    entries[1].platform->architecture = "ppc64le"; // now they contradict each other
    write_index(entries);
    CHECK_THROWS_WITH(OciLayoutSource(folder.path, "v2").resolve(), Catch::Contains("two different images"));
    for (Descriptor& entry : entries)
        entry.annotations.clear();
    write_index(entries);
    CHECK_THROWS_WITH(OciLayoutSource(folder.path, std::nullopt).resolve(),
                      Catch::Contains("by its digest") && Catch::Contains(entries[0].digest.text()));
    // One image under two tags needs no choice.
    entries[1] = entries[0];
    entries[0].annotations[kRefNameAnnotation] = "latest";
    entries[1].annotations[kRefNameAnnotation] = "stable";
    write_index(entries);
    CHECK(OciLayoutSource(folder.path, std::nullopt).resolve().digest == entries[0].digest);
}

TEST_CASE("a folder with other things in it is no destination") {
    const TestFolder folder;
    std::ofstream(folder.path / "letter.txt") << "dear";
    CHECK_THROWS_AS(OciLayoutDestination(folder.path, "v1"), Error);
    CHECK_THROWS_AS(OciLayoutDestination(folder.path / "letter.txt", "v1"), Error);
}

TEST_CASE("a file system that is new and mounted is an empty folder") {
    for (const char* name : {"lost+found", ".DS_Store", "System Volume Information"}) {
        const TestFolder folder;
        fs::create_directory(folder.path / name);
        OciLayoutDestination destination(folder.path, "web");
        destination.publish(put_image(destination, "disk"));
        CHECK(fs::exists(folder.path / "index.json"));
        CHECK(fs::is_directory(folder.path / name));
    }
}

TEST_CASE("a broken layout is refused before the work, and left alone") {
    const TestFolder folder;
    fs::create_directories(folder.path / "blobs" / "sha256");
    std::ofstream(folder.path / "oci-layout") << kLayoutFileText;
    std::ofstream(folder.path / "index.json") << "{\"schemaVersion\":2,\"manif";
    CHECK_THROWS_AS(OciLayoutDestination(folder.path, "v1"), Error);
    CHECK(slurp(folder.path / "index.json") == "{\"schemaVersion\":2,\"manif");
    std::ofstream(folder.path / "oci-layout") << R"({"imageLayoutVersion":"2.0.0"})";
    CHECK_THROWS_WITH(OciLayoutSource(folder.path, "v1"), Catch::Contains("2.0.0"));
}

TEST_CASE("concurrent writers lose no tag") {
    const TestFolder folder;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 8; ++i)
        threads.emplace_back([&, i] {
            OciLayoutDestination destination(folder.path / "layout", "tag" + std::to_string(i));
            destination.publish(put_image(destination, "content " + std::to_string(i)));
        });
    for (std::thread& thread : threads)
        thread.join();
    CHECK(layout_index_tags(slurp(folder.path / "layout" / "index.json")).size() == 8);
}

TEST_CASE("blobs of a foreign layout cannot lead out of it") {
    const TestFolder folder;
    const fs::path layout = folder.path / "layout";
    OciLayoutDestination destination(layout, "v1");
    const Descriptor top = put_image(destination, "content");
    destination.publish(top);
    std::ofstream(folder.path / "secret") << "secret";
    const fs::path blob = layout / "blobs" / "sha256" / top.digest.hex();
    fs::remove(blob);
    OciLayoutSource source(layout, "v1");
    CHECK_THROWS_WITH(source.open_blob(top), Catch::Contains("has no blob"));
    fs::create_symlink(folder.path / "secret", blob);
    CHECK_THROWS_WITH(source.open_blob(top), Catch::Contains("is a link"));
    fs::remove(blob);
    REQUIRE(::mkfifo(blob.c_str(), 0600) == 0);
    CHECK_THROWS_WITH(source.open_blob(top), Catch::Contains("not a regular file"));
}

TEST_CASE("what was written can be read before it is published") {
    const TestFolder folder;
    OciLayoutDestination destination(folder.path / "layout", "v1");
    const Descriptor top = put_image(destination, "the disk");
    WrittenImage image(destination, top);
    const ImageManifest manifest = parse_manifest(image.read_manifest(image.resolve()));
    const auto layer = image.open_blob(manifest.layers.at(0));
    CHECK(read_all(*layer) == "the disk");
    CHECK_FALSE(fs::exists(folder.path / "layout" / "index.json"));
    destination.publish(top);
    CHECK(read_all(*layer) == "the disk"); // it goes on living
    CHECK(read_all(*image.open_blob(manifest.layers.at(0))) == "the disk");
    CHECK(destination.open_written({.digest = Digest::of("nobody wrote this"), .size = 17}) == nullptr);
}

TEST_CASE("a destination that keeps nothing says so when it is read") {
    NullDestination destination;
    const Descriptor top = put_image(destination, "the disk");
    CHECK_THROWS_WITH(WrittenImage(destination, top).open_blob(top), Catch::Contains("cannot read back"));
}
