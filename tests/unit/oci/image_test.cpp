#include "formats/base/error.hpp"
#include "formats/oci/image.hpp"
#include "formats/oci/json.hpp"
#include "formats/oci/labels.hpp"
#include "formats/oci/layout_index.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vm2oci;

namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string descriptor(const std::string& more = "") {
    return R"({"mediaType":"m","digest":")" + kDigest + R"(","size":5)" + more + "}";
}

template <class Parse>
ErrorKind refusal(Parse parse, const std::string& text) {
    try {
        parse(text);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("accepted: " << text.substr(0, 200));
    return ErrorKind::io;
}

} // namespace

TEST_CASE("digests") {
    CHECK(Digest::parse(kDigest).text() == kDigest);
    CHECK(Digest::of("").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (const std::string& wrong : {std::string(), std::string("sha256:"), std::string("sha256:12"), kDigest + "a",
                                     "sha256:" + std::string(64, 'A'), "SHA256:" + std::string(64, 'a'),
                                     "md5:" + std::string(32, 'a'), "sha256:../" + std::string(61, 'a')})
        CHECK(refusal([](const std::string& text) { return Digest::parse(text); }, wrong) == ErrorKind::corrupt);
    CHECK(refusal([](const std::string& text) { return Digest::parse(text); }, "sha512:" + std::string(128, 'a')) ==
          ErrorKind::unsupported);
}

TEST_CASE("a manifest prints canonically and parses to the same") {
    ImageManifest manifest;
    manifest.config = {.media_type = media_type::oci_config, .digest = Digest::parse(kDigest), .size = 2};
    manifest.layers = {{.media_type = media_type::oci_layer_zstd,
                        .digest = Digest::parse(kDigest),
                        .size = 1'000'000'000'000,
                        .annotations = {{"b", "2"}, {"a", "1"}}}};
    manifest.annotations = {{"z", "\"quoted\" \n"}, {"a", "\xc3\xa9"}};
    const std::string text = to_json(manifest);
    CHECK(text == R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
                  R"("config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
                      kDigest +
                      R"(","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":")" +
                      kDigest +
                      R"(","size":1000000000000,"annotations":{"a":"1","b":"2"}}],)"
                      "\"annotations\":{\"a\":\"\xc3\xa9\",\"z\":\"\\\"quoted\\\" \\n\"}}");
    CHECK(to_json(parse_manifest(text)) == text);
    manifest.annotations["bad"] = "\xff";
    CHECK_THROWS_AS(to_json(manifest), Error);
}

TEST_CASE("an index and a config print canonically and parse to the same") {
    ImageIndex index;
    index.manifests = {{.media_type = media_type::oci_manifest,
                        .digest = Digest::parse(kDigest),
                        .size = 7,
                        .platform = Platform{.architecture = "arm64", .variant = "v8"},
                        .artifact_type = "x/y"}};
    CHECK(to_json(parse_index(to_json(index))) == to_json(index));
    CHECK(to_json(index).find(R"("platform":{"architecture":"arm64","os":"linux","variant":"v8"})") !=
          std::string::npos);

    ImageConfig config;
    config.platform.architecture = "amd64";
    config.created = "1970-01-01T00:00:00Z";
    config.environment = {"B=1", "A=2"};
    config.entrypoint = {"no-entrypoint"};
    config.labels = {{"k", "v"}};
    config.diff_ids = {Digest::parse(kDigest)};
    config.history = {{.created = "1970-01-01T00:00:00Z", .created_by = "me"}, {.empty_layer = true}};
    const std::string text = to_json(config);
    CHECK(text == R"({"created":"1970-01-01T00:00:00Z","architecture":"amd64","os":"linux",)"
                  R"("config":{"Entrypoint":["no-entrypoint"],"Env":["B=1","A=2"],"Labels":{"k":"v"}},)"
                  R"("rootfs":{"type":"layers","diff_ids":[")" +
                      kDigest +
                      R"("]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"me"},{"empty_layer":true}]})");
    const ImageConfig parsed = parse_config(text);
    CHECK(to_json(parsed) == text);
    CHECK(parsed.environment == config.environment);
    CHECK(parsed.labels == config.labels);
}

TEST_CASE("documents of others are read, with what we do not know") {
    const ImageManifest manifest =
        parse_manifest(R"({"layers":[],"schemaVersion":2,"x":{"deep":[1]},"annotations":null,"config":)" +
                       descriptor(R"(,"urls":["u"],"data":"e30=")") + "}");
    CHECK(manifest.media_type == media_type::oci_manifest);
    CHECK(manifest.config.size == 5);
    // Docker's config has nulls where there is nothing.
    const ImageConfig config = parse_config(
        R"({"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":["a"],"Labels":null,"User":""},)"
        R"("rootfs":{"type":"layers","diff_ids":[]},"history":null})");
    CHECK(config.command == std::vector<std::string>{"a"});
}

TEST_CASE("what is ambiguous, incomplete or of another type is refused") {
    const std::string config = R"("config":)" + descriptor();
    const std::string good = R"({"schemaVersion":2,)" + config + R"(,"layers":[]})";
    CHECK_NOTHROW(parse_manifest(good));
    for (const std::string& wrong : std::vector<std::string>{
             std::string(),
             std::string("{"),
             std::string("[]"),
             std::string("null"),
             good + "x",
             R"({"schemaVersion":2,"schemaVersion":2,)" + config + R"(,"layers":[]})",
             R"({"schemaVersion":2,)" + config + "}",
             R"({"schemaVersion":2,"layers":[]})",
             R"({"schemaVersion":"2",)" + config + R"(,"layers":[]})",
             "{" + config + R"(,"layers":[]})",
             R"({"schemaVersion":2,)" + config + R"(,"layers":{}})",
             R"({"schemaVersion":2,)" + config + R"(,"layers":[1]})",
             R"({"schemaVersion":2,)" + config + R"(,"layers":[],"manifests":[]})",
             R"({"schemaVersion":2,)" + config + R"(,"layers":[],"annotations":{"a":1}})",
             R"({"schemaVersion":2,"config":{"mediaType":"m","digest":"sha256:x","size":5},"layers":[]})",
             R"({"schemaVersion":2,"config":{"mediaType":"m","digest":")" + kDigest + R"(","size":-5},"layers":[]})",
             R"({"schemaVersion":2,"config":{"mediaType":"m","digest":")" + kDigest + R"(","size":1e3},"layers":[]})",
             R"({"schemaVersion":2,"config":{"mediaType":"m","digest":")" + kDigest +
                 R"(","size":99999999999999999999},"layers":[]})",
             R"({"schemaVersion":2,"config":{"digest":")" + kDigest + R"(","size":5},"layers":[]})",
             R"({"schemaVersion":2,"mediaType":7,)" + config + R"(,"layers":[]})"}) {
        INFO(wrong);
        CHECK(refusal(parse_manifest, wrong) == ErrorKind::corrupt);
    }
    CHECK(refusal(parse_manifest, R"({"schemaVersion":1,"fsLayers":[]})") == ErrorKind::unsupported);
    CHECK(refusal(parse_manifest, R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",)" +
                                      config + R"(,"layers":[]})") == ErrorKind::unsupported);
    CHECK(refusal(parse_index, good) == ErrorKind::corrupt);
    CHECK(refusal(parse_config, R"({"architecture":"a","os":"l"})") == ErrorKind::corrupt);
    CHECK(refusal(parse_config, R"({"architecture":"a","os":"l","rootfs":{"type":"layers"}})") == ErrorKind::corrupt);
    CHECK(refusal(parse_config, R"({"os":"l","rootfs":{"type":"layers","diff_ids":[]}})") == ErrorKind::corrupt);
}

TEST_CASE("JSON bombs are refused quickly") {
    CHECK(refusal(parse_manifest, std::string(1'000'000, '[')) == ErrorKind::corrupt);
    std::string nested = R"({"a":)";
    for (unsigned i = 0; i < 16; ++i)
        nested += nested;
    CHECK(refusal(parse_manifest, nested.substr(0, kMaxManifestBytes)) == ErrorKind::corrupt);
    CHECK(refusal(parse_manifest, std::string(kMaxManifestBytes + 1, ' ')) == ErrorKind::limit);
    std::string many = R"({"schemaVersion":2)";
    for (unsigned i = 0; i < 60'000; ++i)
        many += ",\"" + std::to_string(i) + "\":0";
    CHECK(refusal(parse_manifest, many + "}") == ErrorKind::corrupt);
}

TEST_CASE("index.json keeps what it does not know") {
    const Descriptor top{.media_type = media_type::oci_manifest, .digest = Digest::of("top"), .size = 3};
    const std::string foreign =
        R"({"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
        kDigest +
        R"(","size":1,"annotations":{"org.opencontainers.image.ref.name":"old","other":"x"},"urls":["u"]}],)"
        R"("annotations":{"who":"them"},"extra":{"a":[1,2]}})";
    const std::string text = layout_index_with(foreign, top, "new");
    CHECK(text.find(R"("urls":["u"])") != std::string::npos);
    CHECK(text.find(R"("extra":{"a":[1,2]})") != std::string::npos);
    CHECK(text.find(R"("who":"them")") != std::string::npos);
    CHECK(layout_index_tags(text) == std::vector<std::string>{"old", "new"});
    CHECK(layout_index_with(text, top, "new") == text);
    CHECK(find_in_layout_index(text, "new", "x").digest == top.digest);
    // One without a tag is replaced, several are not guessed about.
    const std::string untagged = layout_index_with(empty_layout_index(), top, std::nullopt);
    const Descriptor other{.media_type = media_type::oci_manifest, .digest = Digest::of("other"), .size = 3};
    CHECK(parse_index(layout_index_with(untagged, other, std::nullopt)).manifests.size() == 1);
    CHECK(layout_index_tags(layout_index_with(untagged, other, "t")).size() == 1);
    const std::string two = R"({"schemaVersion":2,"manifests":[)" + descriptor() + "," + descriptor() + "]}";
    CHECK(refusal([&](const std::string& index) { return layout_index_with(index, top, std::nullopt); }, two) ==
          ErrorKind::conflict);
    CHECK(refusal([](const std::string& index) { return find_in_layout_index(index, "v", "x"); },
                  empty_layout_index()) == ErrorKind::not_found);
}

TEST_CASE("the index says what its only artifact is and when it was made, the entry of one among others") {
    const auto json_of = [](const std::string& text) { return nlohmann::json::parse(text); };
    const auto says_when = [](const nlohmann::json& part) {
        return part.contains("annotations") && part["annotations"].contains(label::oci_created);
    };
    const Descriptor artifact{.media_type = media_type::oci_manifest,
                              .digest = Digest::of("artifact"),
                              .size = 8,
                              .annotations = {{label::oci_created, "1970-01-02T00:00:00Z"}},
                              .artifact_type = "x/machine"};
    const Descriptor image{.media_type = media_type::oci_manifest, .digest = Digest::of("image"), .size = 5};
    const std::string alone = layout_index_with(empty_layout_index(), artifact, "vm");
    CHECK(json_of(alone)["artifactType"] == "x/machine");
    CHECK(json_of(alone)["annotations"][label::oci_created] == "1970-01-02T00:00:00Z");
    CHECK_FALSE(json_of(alone)["manifests"][0].contains("artifactType"));
    CHECK_FALSE(says_when(json_of(alone)["manifests"][0]));
    CHECK(layout_index_with(alone, artifact, "vm") == alone);
    // Without a tag nothing is left of the entry's annotations.
    const auto untagged = json_of(layout_index_with(empty_layout_index(), artifact, std::nullopt));
    CHECK(untagged["annotations"][label::oci_created] == "1970-01-02T00:00:00Z");
    CHECK_FALSE(untagged["manifests"][0].contains("annotations"));

    const auto beside = json_of(layout_index_with(alone, image, "disk"));
    CHECK_FALSE(beside.contains("artifactType"));
    CHECK_FALSE(says_when(beside));
    CHECK(beside["manifests"][0]["artifactType"] == "x/machine");
    CHECK(beside["manifests"][0]["annotations"][label::oci_created] == "1970-01-02T00:00:00Z");
    CHECK_FALSE(beside["manifests"][1].contains("artifactType"));

    // An image in the place of the artifact is none.
    const auto replaced = json_of(layout_index_with(alone, image, "vm"));
    CHECK_FALSE(replaced.contains("artifactType"));
    CHECK_FALSE(replaced["manifests"][0].contains("artifactType"));
    CHECK_FALSE(says_when(replaced["manifests"][0]));

    // What others say of an index that is no artifact's stays where it is.
    const std::string foreign =
        R"({"schemaVersion":2,"manifests":[],"annotations":{"org.opencontainers.image.created":"then"}})";
    CHECK(json_of(layout_index_with(foreign, artifact, "vm"))["annotations"][label::oci_created] == "then");
    CHECK(json_of(layout_index_with(foreign, image, "disk"))["annotations"][label::oci_created] == "then");
}
