// Blobs on their way: from near and far, checked, side by side, stopped.
#include "libconvert/copy/copy_image.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/unit/copy/copy_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <condition_variable>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

struct Site : CopySite {
    Descriptor image(const std::vector<std::string>& layers, const std::string& config = "{}",
                     const std::string& config_type = media_type::oci_config) {
        ImageManifest manifest;
        manifest.config = described(put_blob(inside, config), config_type);
        for (const std::string& layer : layers)
            manifest.layers.push_back(described(put_blob(inside, layer), media_type::oci_layer));
        const Descriptor top = inside.put_manifest(to_json(manifest), media_type::oci_manifest);
        inside.publish(top);
        return top;
    }
    CopyResult copy(const OperationContext& operation = {}) { return copy_published(operation); }
    Error refused(const OperationContext& operation = {}) {
        return error_of([&] { copy(operation); });
    }
    bool wrote_nothing() const { return destination.manifests.empty() && destination.published.empty(); }
};

} // namespace

TEST_CASE("a blob of another size or content than its descriptor says is refused, near and far") {
    for (const bool is_remote : {false, true})
        for (const bool is_shorter : {false, true}) {
            CAPTURE(is_remote, is_shorter);
            Site site;
            const std::string content = is_shorter ? "a laye" : "A layer";
            ImageManifest manifest;
            manifest.config = described(put_blob(site.inside, "{}"), media_type::oci_config);
            manifest.layers = {{.media_type = media_type::oci_layer, .digest = Digest::of("a layer"), .size = 7}};
            site.store->put_blob(manifest.layers[0].digest, content);
            site.inside.publish(site.inside.put_manifest(to_json(manifest), media_type::oci_manifest));
            site.source.is_remote = is_remote;
            const Error error = site.refused();
            CHECK(error.kind() == ErrorKind::corrupt);
            CHECK(error.context() == std::vector<std::string>{"blob " + Digest::of("a layer").text()});
            const std::string digest = Digest::of(content).text();
            if (is_remote)
                CHECK(error.message() ==
                      "its content is " + digest + " with " + std::to_string(content.size()) + " bytes");
            else if (is_shorter)
                CHECK(error.message() == "it has 6 bytes, and its descriptor says 7");
            else
                CHECK(error.message() == "its content is " + digest);
            CHECK(site.destination.begun.size() == (is_remote ? 1 : 0));
            CHECK(site.wrote_nothing());
        }
}

TEST_CASE("a destination that commits something else is not believed") {
    Site site;
    site.image({"a layer"});
    site.destination.spoils = true;
    const Error error = site.refused();
    CHECK(error.kind() == ErrorKind::corrupt);
    CHECK(error.message() == "its content is " + Digest::of("a layer!").text() + " with 8 bytes");
    CHECK(site.wrote_nothing());
}

TEST_CASE("blobs larger than one read arrive whole") {
    constexpr std::size_t mebi = 1024 * 1024;
    for (const bool is_remote : {false, true}) {
        Site site;
        const std::string one = noise(mebi, 1);
        const std::string two = noise(2 * mebi + 1, 2);
        site.image({one, two, ""});
        site.source.is_remote = is_remote;
        HeardProgress heard;
        OperationContext operation;
        operation.progress = &heard;
        CHECK(site.copy(operation).copied_bytes() == 3 * mebi + 1 + 2);
        CHECK(*site.destination.store->find_blob(Digest::of(two)) == two);
        CHECK(*site.destination.store->find_blob(Digest::of(one)) == one);
        CHECK(site.destination.store->find_blob(Digest::of(""))->empty());
        CHECK(heard.phases.at(0).done == 3 * mebi + 1 + 2);
        CHECK(std::ranges::count(heard.notes, Digest::of(one).text() + " 1 MiB copied") == 1);
    }
}

TEST_CASE("a store that streams is not asked a second time") {
    Site site;
    site.image({"a layer"}, R"({"architecture":"arm64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})");
    site.source.is_remote = true;
    site.source.streams = true;
    const CopyResult result = site.copy();
    CHECK(site.source.streamed.size() == 2);
    CHECK(site.source.opened.empty()); // the platform comes from what was written
    CHECK(result.entry.platform == Platform{.architecture = "arm64"});
    // Digests are known before, so that a registry can be asked to mount.
    CHECK(std::ranges::count(site.destination.begun, Digest::of("a layer")) == 1);
}

TEST_CASE("a destination that takes stored blobs is not written to piece by piece") {
    Site site;
    site.image({"a layer"});
    site.destination.takes_stored = true;
    CHECK(site.copy().copied_bytes() == 9);
    CHECK(site.destination.stored.size() == 2);
    CHECK(site.destination.begun.empty());
    // What comes from afar is not at hand.
    Site far;
    far.image({"a layer"});
    far.destination.takes_stored = true;
    far.source.is_remote = true;
    far.copy();
    CHECK(far.destination.stored.empty());
    CHECK(far.destination.begun.size() == 2);
}

TEST_CASE("after a failure no further blob is begun") {
    Site site;
    ImageManifest manifest;
    manifest.config = described(put_blob(site.inside, "{}"), media_type::oci_config);
    manifest.layers = {described(put_blob(site.inside, std::string(500, 'a')), media_type::oci_layer),
                       {.media_type = media_type::oci_layer, .digest = Digest::of("absent"), .size = 400},
                       described(put_blob(site.inside, std::string(300, 'c')), media_type::oci_layer)};
    site.inside.publish(site.inside.put_manifest(to_json(manifest), media_type::oci_manifest));
    const Error error = site.refused();
    CHECK(error.kind() == ErrorKind::not_found);
    CHECK(error.context() == std::vector<std::string>{"blob " + Digest::of("absent").text()});
    CHECK(site.destination.begun == std::vector{Digest::of(std::string(500, 'a'))});
    CHECK(site.wrote_nothing());
}

TEST_CASE("a copy that is cancelled ends, and names nothing") {
    Site site;
    site.image({"a layer", "another"});
    Cancellation cancellation;
    HeardProgress heard;
    OperationContext operation;
    operation.progress = &heard;
    operation.cancellation = &cancellation;
    SECTION("before") {
        cancellation.cancel();
        CHECK(site.refused(operation).kind() == ErrorKind::cancelled);
        CHECK(site.destination.begun.empty());
    }
    SECTION("behind the first blob") {
        heard.cancel_at_note = &cancellation;
        CHECK(site.refused(operation).kind() == ErrorKind::cancelled);
        CHECK(site.destination.begun.size() == 1);
    }
    SECTION("when all blobs are there") {
        for (const char* blob : {"a layer", "another", "{}"})
            site.destination.store->put_blob(Digest::of(blob), blob);
        heard.cancel_at_note = &cancellation;
        CHECK(site.refused(operation).kind() == ErrorKind::cancelled);
    }
    CHECK(site.wrote_nothing());
}

namespace {

// Two writers that wait for each other.
class MeetingDestination final : public ImageDestination {
  public:
    unsigned most = 0;
    bool alone = false;

    DestinationTraits traits() const override { return {.one_blob_at_a_time = alone}; }
    bool has_blob(const Descriptor&) override {
        std::unique_lock lock(mutex_);
        ++inside_;
        most = std::max(most, inside_);
        changed_.notify_all();
        if (!alone)
            changed_.wait_for(lock, std::chrono::seconds(20), [&] { return most == 3; });
        --inside_;
        return true;
    }
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>&) override { return nullptr; }
    Descriptor put_manifest(const std::string&, const std::string&) override { return {}; }
    void publish(const Descriptor&) override {}

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    unsigned inside_ = 0;
};

} // namespace

TEST_CASE("three blobs travel at once, and one where the destination takes one at a time") {
    Site site;
    site.image({"a", "b", "c", "d", "e"});
    CopyOptions options;
    MeetingDestination destination;
    copy_image(site.source, destination, options, {});
    CHECK(destination.most == 3);
    MeetingDestination narrow;
    narrow.alone = true;
    copy_image(site.source, narrow, options, {});
    CHECK(narrow.most == 1);
}

TEST_CASE("the entry of a published image has the platform of its config") {
    constexpr const char* arm = R"({"architecture":"arm","variant":"v6","os":"linux",)"
                                R"("rootfs":{"type":"layers","diff_ids":[]}})";
    constexpr const char* nameless = R"({"os":"linux","rootfs":{"type":"layers","diff_ids":[]}})";
    const std::string huge = std::string(arm) + std::string(4 * 1024 * 1024, ' ');
    struct Case {
        const char* name;
        std::string config;
        const char* type;
        bool is_known;
    };
    for (const Case& one :
         {Case{"OCI", arm, media_type::oci_config, true}, Case{"Docker", arm, media_type::docker_config, true},
          Case{"an artifact", arm, "application/vnd.example.config", false},
          Case{"no architecture", nameless, media_type::oci_config, false},
          Case{"no JSON", "gone", media_type::oci_config, false},
          Case{"too large", huge, media_type::oci_config, false}})
        for (const bool is_remote : {false, true}) {
            CAPTURE(one.name, is_remote);
            Site site;
            site.image({"a layer"}, one.config, one.type);
            site.source.is_remote = is_remote;
            const CopyResult result = site.copy();
            CHECK_FALSE(result.top.platform);
            REQUIRE(result.entry.platform.has_value() == one.is_known);
            if (one.is_known)
                CHECK(*result.entry.platform == Platform{.architecture = "arm", .variant = "v6"});
            CHECK(site.destination.published.at(0) == result.entry);
        }
    // A destination that cannot be read, behind a source that should not be read twice.
    Site site;
    site.image({"a layer"}, arm);
    site.source.is_remote = true;
    site.destination.can_read = false;
    CHECK_FALSE(site.copy().entry.platform);
    // What the index says of it is left alone.
    Site said;
    const Descriptor top = said.image({"a layer"}, arm);
    said.inside.publish(on_platform(top, "amd64", "v3"));
    CHECK(said.copy().entry.platform == Platform{.architecture = "amd64", .variant = "v3"});
}
