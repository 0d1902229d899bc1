#include "formats/oci/image.hpp"
#include "formats/oci/memory_store.hpp"
#include "libconvert/copy/copy_image.hpp"
#include "libconvert/registry/manifests.hpp"
#include "libconvert/registry/registry_destination.hpp"
#include "libconvert/registry/registry_source.hpp"
#include "tests/support/fake_registry.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::registry;
using test::FakeConnection;
using test::FakeRegistry;

namespace {

RegistryReference tagged(const std::string& tag) {
    RegistryReference reference;
    reference.host = "registry.test";
    reference.repository = "team/disk";
    reference.tag = tag;
    return reference;
}

Descriptor put_text(MemoryStore& store, const std::string& text, const char* type) {
    const Digest digest = Digest::of(text);
    store.put_blob(digest, text);
    return {.media_type = type, .digest = digest, .size = text.size()};
}

Descriptor put_image(MemoryStore& store, const std::string& architecture) {
    ImageManifest manifest;
    ImageConfig config;
    config.platform.architecture = architecture;
    manifest.config = put_text(store, to_json(config), media_type::oci_config);
    manifest.layers.push_back(
        put_text(store, "layer of " + architecture + std::string(100'000, 'x'), media_type::oci_layer));
    manifest.layers.push_back(put_text(store, "shared layer", media_type::oci_layer));
    return put_text(store, to_json(manifest), media_type::oci_manifest);
}

// Two architectures under the tag "v1", one of them behind an index in the index.
std::shared_ptr<MemoryStore> multi_arch_store(std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>()) {
    Descriptor amd64 = put_image(*store, "amd64");
    amd64.platform = Platform{"amd64", "linux", ""};
    Descriptor arm64 = put_image(*store, "arm64");
    arm64.platform = Platform{"arm64", "linux", ""};
    ImageIndex inner;
    inner.manifests = {amd64};
    ImageIndex outer;
    outer.manifests = {amd64, arm64, put_text(*store, to_json(inner), media_type::oci_index)};
    store->set_tag("v1", put_text(*store, to_json(outer), media_type::oci_index));
    return store;
}

} // namespace

TEST_CASE("an image with several architectures goes to a registry and back") {
    FakeConnection connection;
    const auto store = multi_arch_store();
    MemorySource source(store, "v1");
    RegistryDestination destination(connection.client, tagged("v1"), {}, {});
    const CopyResult pushed = copy_image(source, destination, {}, {});
    CHECK(pushed.top.digest == store->find_tag("v1").digest);
    CHECK(pushed.blobs.size() == 5);
    CHECK(connection.server->manifests["team/disk"]["v1"].second == media_type::oci_index);

    // The tag is the last thing that is written.
    CHECK(connection.server->seen.back().line() == "PUT https://registry.test/v2/team/disk/manifests/v1");

    RegistrySource back(connection.client, tagged("v1"), {});
    const auto copy = std::make_shared<MemoryStore>();
    MemoryDestination into(copy, "v1");
    const CopyResult pulled = copy_image(back, into, {}, {});
    CHECK(pulled.top.digest == pushed.top.digest);
    for (const CopiedBlob& one : pulled.blobs) {
        REQUIRE(copy->find_blob(one.blob.digest));
        CHECK(*copy->find_blob(one.blob.digest) == *store->find_blob(one.blob.digest));
    }
}

TEST_CASE("one architecture is chosen from an index") {
    const auto store = multi_arch_store();
    MemorySource source(store, "v1");
    const auto copy = std::make_shared<MemoryStore>();
    MemoryDestination into(copy, "v1");
    CHECK(copy_image(source, into, {.parallel_blobs = 2, .architecture = "arm64"}, {}).blobs.size() == 3);
    CHECK(is_manifest(copy->find_tag("v1").media_type));
    CHECK_THROWS_WITH(copy_image(source, into, {.parallel_blobs = 2, .architecture = "riscv64"}, {}),
                      Catch::Contains("linux/amd64, linux/arm64"));
}

TEST_CASE("a manifest without a platform gets that of its config in a layout") {
    FakeConnection connection;
    const auto store = multi_arch_store();
    MemorySource source(store, "v1");
    RegistryDestination destination(connection.client, tagged("v1"), {}, {});
    const ImageIndex index = parse_index(source.read_manifest(copy_image(source, destination, {}, {}).top));
    RegistryReference by_digest = tagged("");
    by_digest.digest = index.manifests.at(1).digest;
    RegistrySource back(connection.client, by_digest, {});
    CHECK_FALSE(back.resolve().platform);
    const auto copy = std::make_shared<MemoryStore>();
    MemoryDestination into(copy, "v1");
    copy_image(back, into, {}, {});
    REQUIRE(copy->find_tag("v1").platform);
    CHECK(*copy->find_tag("v1").platform == *index.manifests.at(1).platform);
}

TEST_CASE("what is there already is not sent again") {
    FakeConnection connection;
    const auto store = multi_arch_store();
    MemorySource source(store, "v1");
    RegistryDestination first(connection.client, tagged("v1"), {}, {});
    copy_image(source, first, {}, {});
    const std::size_t posts = connection.server->count("POST");
    RegistryDestination second(connection.client, tagged("v2"), {}, {});
    const CopyResult again = copy_image(source, second, {}, {});
    CHECK(again.copied_bytes() == 0);
    CHECK(connection.server->count("POST") == posts);
    CHECK(connection.server->manifests["team/disk"].contains("v2"));
}

TEST_CASE("a damaged blob is never uploaded, and no tag appears") {
    FakeConnection connection;
    const auto damaged = std::make_shared<MemoryStore>();
    damaged->put_blob(Digest::of("shared layer"), "shared lay3r"); // the first one stays
    const auto store = multi_arch_store(damaged);
    MemorySource source(store, "v1");
    RegistryDestination destination(connection.client, tagged("v1"), {}, {});
    CHECK_THROWS_WITH(copy_image(source, destination, {}, {}), Catch::Contains("its content is sha256:"));
    CHECK_FALSE(connection.server->blobs["team/disk"].contains(Digest::of("shared layer").text()));
    CHECK(connection.server->manifests["team/disk"].empty());
}

TEST_CASE("a push that fails in the middle leaves no tag") {
    FakeConnection connection;
    const auto store = multi_arch_store();
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.method == HttpMethod::put && request.body != nullptr && request.body->size() > 50'000)
            return FakeRegistry::answer(403, R"({"errors":[{"code":"DENIED","message":"quota"}]})");
        return std::nullopt;
    };
    MemorySource source(store, "v1");
    {
        RegistryDestination destination(connection.client, tagged("v1"), {}, {});
        CHECK_THROWS_WITH(copy_image(source, destination, {}, {}), Catch::Contains("quota"));
    }
    CHECK(connection.server->manifests["team/disk"].empty());
    CHECK(connection.server->uploads.empty());
}

TEST_CASE("a registry that stores another manifest is caught") {
    FakeConnection connection;
    const auto store = multi_arch_store();
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.method == HttpMethod::put && request.url.path_and_query.find("/manifests/") != std::string::npos)
            return FakeRegistry::answer(201, "", {{"Docker-Content-Digest", "sha256:" + std::string(64, 'a')}});
        return std::nullopt;
    };
    MemorySource source(store, "v1");
    RegistryDestination destination(connection.client, tagged("v1"), {}, {});
    CHECK_THROWS_WITH(copy_image(source, destination, {}, {}), Catch::Contains("in the place of"));
    CHECK(connection.server->count("manifests/v1") == 0);
}

TEST_CASE("blobs are mounted from named repositories") {
    FakeConnection connection;
    const auto store = multi_arch_store();
    connection.server->blobs["team/base"][Digest::of("shared layer").text()] = "shared layer";
    MemorySource source(store, "v1");
    RegistryDestination destination(connection.client, tagged("v1"), {"team/none", "team/base"}, {});
    copy_image(source, destination, {}, {});
    CHECK(connection.server->blobs["team/disk"].size() == 5);
    CHECK(connection.server->count("mount="
                                   "sha256%3A" +
                                   Digest::of("shared layer").hex()) == 2);
}

TEST_CASE("what refers to an image is listed, by the registry or by us") {
    const auto store = std::make_shared<MemoryStore>();
    const Descriptor subject = put_image(*store, "amd64");
    ImageManifest report;
    report.artifact_type = "application/vnd.example.report";
    report.config = put_text(*store, "{}", "application/vnd.oci.empty.v1+json");
    report.subject = subject;
    store->set_tag("report", put_text(*store, to_json(report), media_type::oci_manifest));
    FakeConnection connection;
    const std::string fallback = "sha256-" + subject.digest.hex();
    SECTION("by us") {
        MemorySource source(store, "report");
        RegistryDestination destination(connection.client, tagged("report"), {}, {});
        const CopyResult first = copy_image(source, destination, {}, {});
        RegistryDestination again(connection.client, tagged("report"), {}, {});
        copy_image(source, again, {}, {});
        const ImageIndex index = parse_index(connection.server->manifests["team/disk"].at(fallback).first);
        REQUIRE(index.manifests.size() == 1);
        CHECK(index.manifests[0].digest == first.top.digest);
        CHECK(index.manifests[0].artifact_type == "application/vnd.example.report");
        const std::vector<Descriptor> listed = list_referrers(*connection.client, subject.digest);
        REQUIRE(listed.size() == 1);
        CHECK(listed[0].digest == first.top.digest);
        CHECK(list_referrers(*connection.client, first.top.digest).empty());
    }
    SECTION("by the registry") {
        connection.server->lists_referrers = true;
        MemorySource source(store, "report");
        RegistryDestination destination(connection.client, tagged("report"), {}, {});
        copy_image(source, destination, {}, {});
        CHECK_FALSE(connection.server->manifests["team/disk"].contains(fallback));
        const auto page = [](const std::string& content) {
            ImageIndex index;
            index.manifests = {{.media_type = media_type::oci_manifest, .digest = Digest::of(content), .size = 1}};
            return to_json(index);
        };
        connection.server->intercept = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
            if (request.url.path_and_query == "/v2/team/disk/referrers/" + subject.digest.text())
                return FakeRegistry::answer(200, page("one"), {{"Link", "</v2/team/more>; rel=\"next\""}});
            if (request.url.path_and_query == "/v2/team/more")
                return FakeRegistry::answer(200, page("two"));
            return std::nullopt;
        };
        const std::vector<Descriptor> listed = list_referrers(*connection.client, subject.digest);
        REQUIRE(listed.size() == 2);
        CHECK(listed[1].digest == Digest::of("two"));
    }
}

TEST_CASE("a tag that is not there is answered with those that are") {
    FakeConnection connection;
    connection.server->manifests["team/disk"]["v1"] = {"{}", media_type::oci_manifest};
    RegistrySource source(connection.client, tagged("v9"), {});
    try {
        source.resolve();
        FAIL("it was found");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::not_found);
        CHECK(std::string(error.what()).find("v1") != std::string::npos);
    }
}

TEST_CASE("a manifest is only taken for what it is") {
    FakeConnection connection;
    auto& manifests = connection.server->manifests["team/disk"];
    const std::string good = R"({"schemaVersion":2,"config":{}})";
    SECTION("its type comes from the header where it says nothing") {
        manifests["v1"] = {good, media_type::docker_manifest};
        CHECK(fetch_manifest(*connection.client, "v1")->descriptor.media_type == media_type::docker_manifest);
        manifests["v2"] = {good, "application/json; charset=utf-8"};
        CHECK(fetch_manifest(*connection.client, "v2")->descriptor.media_type == media_type::oci_manifest);
        CHECK(fetch_manifest(*connection.client, "v3") == std::nullopt);
    }
    SECTION("another digest than was asked for") {
        const std::string digest = Digest::of("something else").text();
        manifests[digest] = {good, media_type::oci_manifest};
        CHECK_THROWS_AS(fetch_manifest(*connection.client, digest), Error);
    }
    SECTION("another digest than the registry says") {
        connection.server->intercept = [&](const HttpRequest&) -> std::optional<HttpResponse> {
            return FakeRegistry::answer(200, good, {{"Docker-Content-Digest", Digest::of("other").text()}});
        };
        CHECK_THROWS_AS(fetch_manifest(*connection.client, "v1"), Error);
    }
    SECTION("HTML") {
        manifests["v1"] = {"<html>captive portal</html>", "text/html"};
        CHECK_THROWS_WITH(fetch_manifest(*connection.client, "v1"), Catch::Contains("captive portal"));
    }
    SECTION("too large") {
        manifests["v1"] = {"{\"a\":\"" + std::string(5'000'000, 'x') + "\"}", media_type::oci_manifest};
        try {
            fetch_manifest(*connection.client, "v1");
            FAIL("it was taken");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::limit);
        }
    }
    SECTION("ambiguous") {
        manifests["v1"] = {R"({"schemaVersion":2,"config":{},"config":{}})", media_type::oci_manifest};
        CHECK_THROWS_AS(fetch_manifest(*connection.client, "v1"), Error);
    }
}

TEST_CASE("tags come from all pages of a listing") {
    FakeConnection connection;
    connection.server->intercept = [](const HttpRequest& request) -> std::optional<HttpResponse> {
        if (request.url.path_and_query.find("last=") == std::string::npos)
            return FakeRegistry::answer(200, R"({"tags":["b","c"]})",
                                        {{"Link", R"(</v2/team/disk/tags/list?n=2&last=c>; rel="next")"}});
        return FakeRegistry::answer(200, R"({"tags":["a"]})");
    };
    CHECK(list_tags(*connection.client) == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("what a registry was given can be read before anybody sees it") {
    FakeConnection connection;
    RegistryDestination destination(connection.client, tagged("v1"), {}, {});
    const std::string layer(100'000, 'x');
    const std::unique_ptr<BlobWriter> writer = destination.begin_blob({});
    writer->write(as_bytes(layer));
    const BlobIdentity blob = writer->commit();
    const auto stored = destination.open_written({.digest = blob.digest, .size = blob.size});
    std::string text(stored->size(), '\0');
    stored->read_at(0, std::as_writable_bytes(std::span(text)));
    CHECK(text == layer);
    const Descriptor manifest = destination.put_manifest("{}", media_type::oci_manifest);
    CHECK(destination.open_written(manifest)->size() == 2);
    CHECK(connection.server->manifests["team/disk"].empty());
}
