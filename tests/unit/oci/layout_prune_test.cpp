// What is removed from a layout, and what never is.
#include "formats/base/error.hpp"
#include "formats/oci/layout.hpp"
#include "formats/oci/layout_prune.hpp"
#include "formats/oci/verify.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <fstream>
#include <set>
#include <thread>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

constexpr PruneOptions kAll{std::chrono::seconds{0}, PruneMode::remove};

Descriptor publish(const fs::path& layout, const std::string& tag, std::string_view content) {
    OciLayoutDestination destination(layout, tag);
    Descriptor top = put_image(destination, content);
    destination.publish(top);
    return top;
}

std::set<std::string> blobs(const fs::path& layout) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(layout / "blobs" / "sha256"))
        names.insert(entry.path().filename().string());
    return names;
}

// A manifest about another one, in the layout's blobs and not in its index.
Descriptor add_referrer(const fs::path& layout, const Descriptor& subject, const std::string& content) {
    const auto put = [&](const std::string& bytes) {
        Digest digest = Digest::of(bytes);
        std::ofstream(layout / "blobs" / "sha256" / digest.hex()) << bytes;
        return digest;
    };
    ImageManifest manifest;
    manifest.config = {.media_type = "application/vnd.oci.empty.v1+json", .digest = put("{}"), .size = 2};
    manifest.layers = {{.media_type = "text/plain", .digest = put(content), .size = content.size()}};
    manifest.subject = subject;
    const std::string text = to_json(manifest);
    return {.media_type = media_type::oci_manifest, .digest = put(text), .size = text.size()};
}

} // namespace

TEST_CASE("what an earlier image of a tag had is removed, and what it shares with others stays") {
    const TestFolder folder;
    const fs::path layout = folder.path / "layout";
    publish(layout, "web", "the first");
    publish(layout, "db", "the second");
    publish(layout, "web", "the second");
    const std::set<std::string> before = blobs(layout);
    CHECK(before.size() == 6); // two images

    const PruneReport plan = prune_layout(layout, {std::chrono::seconds{0}, PruneMode::plan_only}, {});
    CHECK(blobs(layout) == before);
    const PruneReport report = prune_layout(layout, kAll, {});
    CHECK(report.removed.size() == 3);
    CHECK(report.kept == 3);
    CHECK(plan.removed.size() == report.removed.size());
    CHECK(plan.removed_bytes == report.removed_bytes);
    for (const PrunedBlob& blob : report.removed)
        CHECK_FALSE(fs::exists(layout / "blobs" / "sha256" / blob.digest.hex()));
    for (const char* tag : {"web", "db"}) {
        OciLayoutSource source(layout, tag);
        const Descriptor top = source.resolve();
        for (const Descriptor& layer : parse_manifest(source.read_manifest(top)).layers)
            CHECK(read_all(*source.open_blob(layer)) == "the second");
    }
    CHECK(prune_layout(layout, kAll, {}).removed.empty());
}

TEST_CASE("what is young stays, and so does what is no blob") {
    const TestFolder folder;
    const fs::path layout = folder.path / "layout";
    publish(layout, "web", "the first");
    publish(layout, "web", "the second");
    std::ofstream(layout / "blobs" / "sha256" / "notes.txt") << "mine";
    std::ofstream(layout / "README") << "mine";
    const std::set<std::string> before = blobs(layout);
    const PruneReport young = prune_layout(layout, {}, {});
    CHECK(young.young == 3);
    CHECK(young.removed.empty());
    CHECK(blobs(layout) == before);
    prune_layout(layout, kAll, {});
    CHECK(fs::exists(layout / "blobs" / "sha256" / "notes.txt"));
    CHECK(fs::exists(layout / "README"));
}

TEST_CASE("images of an index are reached, and signatures of what is reached") {
    const TestFolder folder;
    const fs::path layout = folder.path / "layout";
    OciLayoutDestination destination(layout, "both");
    ImageIndex index;
    index.manifests = {put_image(destination, "for amd64", "amd64"), put_image(destination, "for arm64", "arm64")};
    destination.publish(destination.put_manifest(to_json(index), media_type::oci_index));
    const Descriptor signature = add_referrer(layout, index.manifests[1], "a signature");
    const Descriptor about_it = add_referrer(layout, signature, "a timestamp of it");
    const Descriptor lost = add_referrer(
        layout, {.media_type = media_type::oci_manifest, .digest = Digest::of("an image that is not here"), .size = 9},
        "a signature of nothing");
    const PruneReport report = prune_layout(layout, kAll, {});
    const std::set<std::string> left = blobs(layout);
    CHECK(left.contains(signature.digest.hex()));
    CHECK(left.contains(about_it.digest.hex()));
    CHECK(left.contains(Digest::of("a timestamp of it").hex()));
    CHECK_FALSE(left.contains(lost.digest.hex()));
    CHECK_FALSE(left.contains(Digest::of("a signature of nothing").hex()));
    CHECK(report.removed.size() == 2);
    for (const Descriptor& manifest : index.manifests)
        CHECK(left.contains(manifest.digest.hex()));
}

TEST_CASE("where a manifest is missing or damaged nothing is removed, for nobody knows what it needs") {
    const TestFolder folder;
    const fs::path layout = folder.path / "layout";
    const Descriptor top = publish(layout, "web", "the first");
    publish(layout, "other", "the second");
    publish(layout, "other", "the third");
    const fs::path manifest = layout / "blobs" / "sha256" / top.digest.hex();
    SECTION("missing") {
        fs::remove(manifest);
    }
    SECTION("damaged") {
        std::ofstream(manifest) << "{";
    }
    SECTION("a link") {
        fs::rename(manifest, folder.path / "elsewhere");
        fs::create_symlink(folder.path / "elsewhere", manifest);
    }
    const std::set<std::string> before = blobs(layout);
    CHECK_THROWS_AS(prune_layout(layout, kAll, {}), Error);
    CHECK(blobs(layout) == before);
}

TEST_CASE("no layout is pruned that is none") {
    const TestFolder folder;
    CHECK_THROWS_AS(prune_layout(folder.path / "absent", kAll, {}), Error);
    fs::create_directories(folder.path / "blobs" / "sha256");
    const std::string name(64, 'a');
    std::ofstream(folder.path / "blobs" / "sha256" / name) << "somebody's";
    CHECK_THROWS_AS(prune_layout(folder.path, kAll, {}), Error);
    CHECK(fs::exists(folder.path / "blobs" / "sha256" / name));
}

TEST_CASE("a conversion whose blobs were pruned before it could name them ends with an error, and names nothing") {
    const TestFolder folder;
    const fs::path layout = folder.path / "layout";
    publish(layout, "web", "the old one");
    publish(layout, "web", "the new one");
    OciLayoutDestination destination(layout, "again");
    const Descriptor top = put_image(destination, "the old one"); // its blobs are there, and nothing names them
    prune_layout(layout, kAll, {});
    CHECK_THROWS_WITH(destination.publish(top), Catch::Contains("begin again"));
    CHECK_THROWS_AS(OciLayoutSource(layout, "again").resolve(), Error);
    // The second try writes them.
    const Descriptor second = publish(layout, "again", "the old one");
    CHECK(OciLayoutSource(layout, "again").resolve().digest == second.digest);
    CHECK(prune_layout(layout, kAll, {}).removed.empty());
}

TEST_CASE("a blob that a conversion counts as there is young from then on, with the time that it was written") {
    const TestFolder folder;
    const fs::path layout = folder.path / "layout";
    const Descriptor top = publish(layout, "web", "the old one");
    const auto status = [&] {
        struct stat of_blob {};
        REQUIRE(::stat((layout / "blobs" / "sha256" / top.digest.hex()).c_str(), &of_blob) == 0);
        return of_blob;
    };
    const auto moment = [](const timespec& time) { return std::pair(time.tv_sec, time.tv_nsec); };
    const auto before = status();
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // times of files go in ticks
    OciLayoutDestination destination(layout, "again");
    CHECK(put_image(destination, "the old one").digest == top.digest);
    CHECK(moment(status().st_ctim) > moment(before.st_ctim));
    CHECK(moment(status().st_mtim) == moment(before.st_mtim));
    CHECK(status().st_mode == before.st_mode);
}
