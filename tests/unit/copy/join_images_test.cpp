// One index of several images: whose entries they are, and which cannot stand side by side.
#include "libconvert/copy/join_images.hpp"
#include "tests/unit/copy/copy_fixture.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

struct Images {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    std::vector<std::unique_ptr<WatchedSource>> sources{};
    std::vector<JoinSource> joined{};
    StrictDestination destination{};

    MemoryDestination inside() { return MemoryDestination(store); }
    // The next source, "image 1", "image 2", …
    void add(const Descriptor& top) {
        const std::string tag = "image " + std::to_string(sources.size() + 1);
        MemoryDestination(store, tag).publish(top);
        sources.push_back(std::make_unique<WatchedSource>(store, tag));
        joined.push_back({sources.back().get(), tag});
    }
    Descriptor image(const std::string& architecture, const std::string& content = "a layer") {
        MemoryDestination to = inside();
        return put_image(to, content, architecture);
    }
    Descriptor with_config(const std::string& config, const char* type = media_type::oci_config) {
        MemoryDestination to = inside();
        ImageManifest manifest;
        manifest.config = described(put_blob(to, config), type);
        return to.put_manifest(to_json(manifest), media_type::oci_manifest);
    }
    Descriptor index(const std::vector<Descriptor>& manifests) {
        MemoryDestination to = inside();
        return put_index(to, manifests);
    }
    JoinResult join(const Annotations& annotations = {}) {
        return join_images(joined, destination, annotations, {}, {});
    }
    Error refused() {
        return error_of([&] { join(); });
    }
};

} // namespace

TEST_CASE("an index has its images in the order they are given, each with the platform of its config") {
    Images images;
    const Descriptor s390x = images.image("s390x", "one");
    const Descriptor amd64 = images.image("amd64", "two");
    images.add(s390x);
    images.add(amd64);
    const JoinResult result = images.join({{"org.example.about", "both"}});
    REQUIRE(result.manifests.size() == 2);
    CHECK(result.manifests[0] == on_platform(s390x, "s390x"));
    CHECK(result.manifests[1] == on_platform(amd64, "amd64"));
    CHECK(result.blobs.size() == 4);
    CHECK(images.destination.published.empty());
    CHECK(images.destination.manifests.back() == result.top.digest);
    CHECK(result.top.media_type == media_type::oci_index);
    const auto json = nlohmann::json::parse(*images.destination.store->find_blob(result.top.digest));
    CHECK(json["annotations"]["org.example.about"] == "both");
    CHECK(json["manifests"][0]["platform"]["architecture"] == "s390x");
    CHECK(json["manifests"][1]["digest"] == amd64.digest.text());
    CHECK(json["schemaVersion"] == 2);
    // The tags that the sources had are no part of it.
    CHECK_FALSE(json["manifests"][0].contains("annotations"));
}

TEST_CASE("a source that is an index gives all of its images, and what their entries say but their names") {
    Images images;
    Descriptor arm = on_platform(images.image("arm", "one"), "arm", "v6");
    arm.annotations = {{"org.opencontainers.image.ref.name", "v1"},
                       {"io.containerd.image.name", "registry.test/x:v1"},
                       {"org.example.kept", "yes"}};
    const Descriptor silent = images.image("riscv64", "two"); // its entry says no platform
    images.add(images.index({arm, silent}));
    images.add(images.image("amd64"));
    const JoinResult result = images.join();
    REQUIRE(result.manifests.size() == 3);
    CHECK(result.manifests[0].annotations == Annotations{{"org.example.kept", "yes"}});
    CHECK(result.manifests[0].platform == Platform{.architecture = "arm", .variant = "v6"});
    CHECK(result.manifests[1].platform == Platform{.architecture = "riscv64"});
    CHECK(result.manifests[2].platform == Platform{.architecture = "amd64"});
}

TEST_CASE("two images for one platform are a conflict, however they spell it") {
    struct Case {
        Platform first;
        Platform second;
        bool is_conflict;
        const char* said = "";
    };
    using P = Platform;
    const std::vector<Case> cases = {
        {P{.architecture = "amd64"}, P{.architecture = "amd64"}, true, "linux/amd64"},
        {P{.architecture = "arm64"}, P{.architecture = "arm64", .variant = "v8"}, true, "linux/arm64/v8"},
        {P{.architecture = "arm", .variant = "v7"}, P{.architecture = "arm"}, true, "linux/arm"},
        {P{.architecture = "x86_64"}, P{.architecture = "amd64"}, true, "linux/amd64"},
        {P{.architecture = "amd64"}, P{.architecture = "amd64", .variant = "v3"}, false},
        {P{.architecture = "arm", .variant = "v6"}, P{.architecture = "arm", .variant = "v7"}, false},
        {P{.architecture = "amd64"}, P{.architecture = "amd64", .os = "windows"}, false},
        {P{.architecture = "sparc64"}, P{.architecture = "sparc64"}, true, "linux/sparc64"},
        // Attestations of BuildKit, which puts one beside each image.
        {P{.architecture = "unknown", .os = "unknown"}, P{.architecture = "unknown", .os = "unknown"}, false},
    };
    for (const Case& one : cases) {
        CAPTURE(one.first.architecture, one.first.variant, one.second.architecture, one.second.variant);
        Images images;
        Descriptor first = images.image("amd64", "one");
        first.platform = one.first;
        Descriptor second = images.image("amd64", "two");
        second.platform = one.second;
        images.add(images.index({first}));
        images.add(images.index({second}));
        if (!one.is_conflict) {
            CHECK(images.join().manifests.size() == 2);
            continue;
        }
        const Error error = images.refused();
        CHECK(error.kind() == ErrorKind::conflict);
        CHECK(error.message() == "another image is for " + std::string(one.said) + ", too");
        CHECK(error.context() == std::vector<std::string>{"image 2"});
        // What the second has was not asked for.
        CHECK_FALSE(images.destination.has_blob({.digest = Digest::of("two")}));
        CHECK(images.destination.manifests == std::vector{first.digest});
    }
}

TEST_CASE("images that docker buildx made are joined with their attestations") {
    // BuildKit since 0.11: beside each image a manifest for unknown/unknown, which names it.
    Images images;
    for (const char* architecture : {"amd64", "arm64"}) {
        const Descriptor image = on_platform(images.image(architecture, architecture), architecture);
        Descriptor attestation = images.with_config("{}");
        attestation.annotations = {{"vnd.docker.reference.digest", image.digest.text()},
                                   {"vnd.docker.reference.type", "attestation-manifest"}};
        attestation.platform = Platform{.architecture = "unknown", .os = "unknown"};
        images.add(images.index({image, attestation}));
    }
    const JoinResult result = images.join();
    REQUIRE(result.manifests.size() == 4);
    CHECK(result.manifests[3].annotations.at("vnd.docker.reference.digest") == result.manifests[2].digest.text());
}

TEST_CASE("disks of podman's machines stand side by side for several kinds of them") {
    Images images;
    for (const char* type : {"qemu", "hyperv"}) {
        Descriptor disk = on_platform(images.image("amd64", type), "amd64");
        disk.annotations["disktype"] = type;
        images.add(images.index({disk}));
    }
    CHECK(images.join().manifests.size() == 2);
    images.joined.push_back(images.joined.front());
    CHECK(images.refused().kind() == ErrorKind::conflict);
}

TEST_CASE("an image whose platform cannot be told is refused by its name") {
    struct Case {
        const char* config;
        const char* type;
        ErrorKind kind;
        const char* message;
    };
    for (const Case& one :
         {Case{"{}", "application/vnd.oci.empty.v1+json", ErrorKind::unsupported,
               "it is an artifact without an architecture, which an index of images cannot hold"},
          Case{R"({"os":"linux","rootfs":{"type":"layers","diff_ids":[]}})", media_type::oci_config, ErrorKind::corrupt,
               "the image config: \"architecture\" is missing"},
          Case{R"({"architecture":"","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})",
               media_type::docker_config, ErrorKind::unsupported, "its config states no architecture"}}) {
        Images images;
        images.add(images.with_config(one.config, one.type));
        const Error error = images.refused();
        CHECK(error.kind() == one.kind);
        CHECK(error.message() == one.message);
        CHECK(error.context() == std::vector<std::string>{"image 1"});
        CHECK(images.destination.begun.empty());
    }
}

TEST_CASE("a config that is not what the manifest names is refused before it is believed") {
    const std::string config = R"({"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}})";
    const auto with = [&](const std::string& stored, std::uint64_t size) {
        Images images;
        ImageManifest manifest;
        manifest.config = {.media_type = media_type::oci_config, .digest = Digest::of(config), .size = size};
        images.store->put_blob(manifest.config.digest, stored);
        MemoryDestination inside = images.inside();
        images.add(inside.put_manifest(to_json(manifest), media_type::oci_manifest));
        return images.refused();
    };
    std::string other = config;
    other[2] = 'A';
    const Error changed = with(other, config.size());
    CHECK(changed.kind() == ErrorKind::corrupt);
    CHECK(changed.message() == "its config is not what its manifest names");
    const Error longer = with(config + std::string(100, ' '), config.size());
    CHECK(longer.kind() == ErrorKind::corrupt);
    const Error large = with(config, 4 * 1024 * 1024 + 1);
    CHECK(large.kind() == ErrorKind::limit);
    CHECK(large.message() == "its config has 4.0 MiB, and at most 4 MiB are read");
    // A blob that is longer than it says is not read to its end.
    const Error huge = with(std::string(5 * 1024 * 1024, ' '), config.size());
    CHECK(huge.kind() == ErrorKind::corrupt);
    CHECK(huge.message() == "blob " + Digest::of(config).text() + " has 5242880 bytes, and its descriptor says " +
                                std::to_string(config.size()));
}
