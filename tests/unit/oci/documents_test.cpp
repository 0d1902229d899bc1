// The documents of an image, field by field: each is changed in each way that its type forbids, and the sentence that
// comes of it names it.
#include "formats/oci/image.hpp"
#include "formats/oci/json.hpp"
#include "tests/support/error_of.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <functional>

using namespace vm2oci;
using nlohmann::json;
using test::error_of;

namespace {

const std::string kSum = "sha256:" + std::string(64, 'b');

json descriptor() {
    return {{"mediaType", "application/vnd.oci.image.layer.v1.tar"}, {"digest", kSum}, {"size", 5}};
}

json manifest() {
    return {{"schemaVersion", 2},
            {"mediaType", media_type::oci_manifest},
            {"config", descriptor()},
            {"layers", {descriptor(), descriptor()}}};
}

json index() {
    return {{"schemaVersion", 2}, {"mediaType", media_type::oci_index}, {"manifests", {descriptor()}}};
}

json config() {
    return {{"architecture", "amd64"}, {"os", "linux"}, {"rootfs", {{"type", "layers"}, {"diff_ids", {kSum}}}}};
}

struct Change {
    const char* at; // JSON pointer
    json value;     // discarded: the member is removed
    ErrorKind kind;
    const char* message;
};

const json kGone = json::parse("{", nullptr, false);

template <class Parse>
void check_changes(const json& good, Parse parse, const std::vector<Change>& changes) {
    CHECK_NOTHROW(parse(good.dump()));
    for (const Change& change : changes) {
        json changed = good;
        const json::json_pointer pointer(change.at);
        if (change.value.is_discarded())
            changed[pointer.parent_pointer()].erase(pointer.back());
        else
            changed[pointer] = change.value;
        CAPTURE(change.at, changed.dump());
        const Error error = error_of([&] { parse(changed.dump()); });
        CHECK(error.kind() == change.kind);
        CHECK(std::string(error.what()) == change.message);
    }
}

constexpr ErrorKind kCorrupt = ErrorKind::corrupt;
constexpr ErrorKind kUnsupported = ErrorKind::unsupported;

} // namespace

TEST_CASE("a manifest's fields have their types") {
    check_changes(
        manifest(), parse_manifest,
        {{"/schemaVersion", kGone, kCorrupt, "the manifest: \"schemaVersion\" is missing"},
         {"/schemaVersion", nullptr, kCorrupt, "the manifest: \"schemaVersion\" is missing"},
         {"/schemaVersion", "2", kCorrupt, "the manifest: \"schemaVersion\" is not a whole number of at least 0"},
         {"/schemaVersion", 2.0, kCorrupt, "the manifest: \"schemaVersion\" is not a whole number of at least 0"},
         {"/schemaVersion", 1, kUnsupported, "the manifest has a schemaVersion other than 2"},
         {"/schemaVersion", 3, kUnsupported, "the manifest has a schemaVersion other than 2"},
         {"/mediaType", 7, kCorrupt, "the manifest: \"mediaType\" is not a string"},
         {"/mediaType", media_type::oci_index, kUnsupported,
          "the manifest says that it is 'application/vnd.oci.image.index.v1+json'"},
         {"/mediaType", "application/vnd.docker.distribution.manifest.v1+prettyjws", kUnsupported,
          "the manifest says that it is 'application/vnd.docker.distribution.manifest.v1+prettyjws'"},
         {"/config", kGone, kCorrupt, "the manifest: \"config\" is missing"},
         {"/config", "x", kCorrupt, "the manifest, config is not an object"},
         {"/layers", kGone, kCorrupt, "the manifest: \"layers\" is missing or not a list"},
         {"/layers", json::object(), kCorrupt, "the manifest: \"layers\" is missing or not a list"},
         {"/layers/1", 5, kCorrupt, "the manifest, layers[1] is not an object"},
         {"/layers/1/mediaType", kGone, kCorrupt, "the manifest, layers[1]: \"mediaType\" is missing"},
         {"/layers/0/digest", kGone, kCorrupt,
          "the manifest, layers[0]: the manifest, layers[0]: \"digest\" is missing"},
         {"/layers/1/size", kGone, kCorrupt, "the manifest, layers[1]: \"size\" is missing"},
         {"/layers/1/size", -1, kCorrupt, "the manifest, layers[1]: \"size\" is not a whole number of at least 0"},
         {"/layers/1/size", "5", kCorrupt, "the manifest, layers[1]: \"size\" is not a whole number of at least 0"},
         {"/layers/1/size", 1e30, kCorrupt, "the manifest, layers[1]: \"size\" is not a whole number of at least 0"},
         {"/layers/1/annotations", json::array(), kCorrupt,
          "the manifest, layers[1]: \"annotations\" is not an object of strings"},
         {"/layers/1/annotations",
          {{"a", 1}},
          kCorrupt,
          "the manifest, layers[1]: \"annotations\" is not an object of strings"},
         {"/layers/1/platform", "linux", kCorrupt, "the manifest, layers[1]: \"platform\" is not an object"},
         {"/layers/1/platform", {{"os", 1}}, kCorrupt, "the manifest, layers[1]: \"os\" is not a string"},
         {"/layers/1/artifactType", false, kCorrupt, "the manifest, layers[1]: \"artifactType\" is not a string"},
         {"/subject", "x", kCorrupt, "the manifest, subject is not an object"},
         {"/annotations", {{"a", nullptr}}, kCorrupt, "the manifest: \"annotations\" is not an object of strings"},
         {"/artifactType", 1, kCorrupt, "the manifest: \"artifactType\" is not a string"},
         {"/manifests", json::array(), kCorrupt, "the manifest has \"manifests\", as an index has"}});
    json docker = manifest();
    docker["mediaType"] = media_type::docker_manifest;
    CHECK(parse_manifest(docker.dump()).media_type == media_type::docker_manifest);
    docker["mediaType"] = "";
    CHECK(parse_manifest(docker.dump()).media_type == media_type::oci_manifest);
    docker["manifests"] = nullptr; // as Go's decoder has it, absent
    CHECK_NOTHROW(parse_manifest(docker.dump()));
}

TEST_CASE("an index's fields have their types") {
    check_changes(
        index(), parse_index,
        {{"/schemaVersion", 1, kUnsupported, "the index has a schemaVersion other than 2"},
         {"/manifests", kGone, kCorrupt, "the index: \"manifests\" is missing or not a list"},
         {"/manifests/0", nullptr, kCorrupt, "the index, manifests[0] is not an object"},
         {"/manifests/0/size", 0.5, kCorrupt, "the index, manifests[0]: \"size\" is not a whole number of at least 0"},
         {"/mediaType", media_type::oci_manifest, kUnsupported,
          "the index says that it is 'application/vnd.oci.image.manifest.v1+json'"},
         {"/layers", json::array(), kCorrupt, "the index has \"layers\" or \"config\", as a manifest has"},
         {"/config", descriptor(), kCorrupt, "the index has \"layers\" or \"config\", as a manifest has"},
         {"/subject", 1, kCorrupt, "the index, subject is not an object"},
         {"/annotations", "x", kCorrupt, "the index: \"annotations\" is not an object of strings"}});
    json with_all = index();
    with_all["mediaType"] = media_type::docker_list;
    with_all["artifactType"] = "a/b";
    with_all["subject"] = descriptor();
    with_all["manifests"][0]["platform"] = {{"architecture", "arm"}, {"variant", "v6"}};
    const ImageIndex parsed = parse_index(with_all.dump());
    CHECK(parsed.media_type == media_type::docker_list);
    CHECK(parsed.artifact_type == "a/b");
    CHECK(parsed.subject->size == 5);
    CHECK(parsed.manifests[0].platform == Platform{.architecture = "arm", .os = "", .variant = "v6"});
}

TEST_CASE("a config's fields have their types") {
    json good = config();
    good["config"] = json::object();
    const char* const kMissing = "the image config: \"rootfs\" is missing or not an object";
    const char* const kList = "the image config: \"history\" is not a list of objects";
    check_changes(
        good, parse_config,
        {{"/architecture", kGone, kCorrupt, "the image config: \"architecture\" is missing"},
         {"/os", nullptr, kCorrupt, "the image config: \"os\" is missing"},
         {"/variant", 8, kCorrupt, "the image config: \"variant\" is not a string"},
         {"/created", 0, kCorrupt, "the image config: \"created\" is not a string"},
         {"/author", json::array(), kCorrupt, "the image config: \"author\" is not a string"},
         {"/rootfs", kGone, kCorrupt, kMissing},
         {"/rootfs", json::array(), kCorrupt, kMissing},
         {"/rootfs/type", kGone, kCorrupt, "the image config: \"type\" is missing"},
         {"/rootfs/type", "dir", kUnsupported, "the image config: \"rootfs\" is of another type than \"layers\""},
         {"/rootfs/diff_ids", kGone, kCorrupt, "the image config: \"diff_ids\" is missing"},
         {"/rootfs/diff_ids", "x", kCorrupt, "the image config: \"diff_ids\" is not a list of strings"},
         {"/rootfs/diff_ids/0", 1, kCorrupt, "the image config: \"diff_ids\" is not a list of strings"},
         {"/rootfs/diff_ids/0", "x", kCorrupt, "the image config, diff_ids: 'x' is not a sha256 digest"},
         {"/config", json::array(), kCorrupt, "the image config: \"config\" is not an object"},
         {"/config/User", 0, kCorrupt, "the image config: \"User\" is not a string"},
         {"/config/Env", "A=1", kCorrupt, "the image config: \"Env\" is not a list of strings"},
         {"/config/Env", {1}, kCorrupt, "the image config: \"Env\" is not a list of strings"},
         {"/config/Entrypoint", json::object(), kCorrupt, "the image config: \"Entrypoint\" is not a list of strings"},
         {"/config/Cmd", "sh", kCorrupt, "the image config: \"Cmd\" is not a list of strings"},
         {"/config/WorkingDir", 1, kCorrupt, "the image config: \"WorkingDir\" is not a string"},
         {"/config/StopSignal", 15, kCorrupt, "the image config: \"StopSignal\" is not a string"},
         {"/config/Volumes", json::array(), kCorrupt, "the image config: \"Volumes\" is not an object"},
         {"/config/Shell", "sh", kCorrupt, "the image config: \"Shell\" is not a list of strings"},
         {"/config/Labels", {{"a", 1}}, kCorrupt, "the image config: \"Labels\" is not an object of strings"},
         {"/config/Healthcheck", 1, kCorrupt, "the image config: \"Healthcheck\" is not an object"},
         {"/config/Healthcheck", {{"Test", "x"}}, kCorrupt, "the image config: \"Test\" is not a list of strings"},
         {"/config/Healthcheck",
          {{"Interval", -1}},
          kCorrupt,
          "the image config: \"Interval\" of the health check is no number"},
         {"/config/Healthcheck",
          {{"Timeout", "30s"}},
          kCorrupt,
          "the image config: \"Timeout\" of the health check is no number"},
         {"/config/Healthcheck",
          {{"Retries", 1.5}},
          kCorrupt,
          "the image config: \"Retries\" of the health check is no number"},
         {"/config/Healthcheck",
          {{"StartPeriod", ~std::uint64_t{0}}},
          kCorrupt,
          "the image config: \"StartPeriod\" of the health check is no number"},
         {"/history", json::object(), kCorrupt, kList},
         {"/history", {1}, kCorrupt, kList},
         {"/history", {{{"comment", 1}}}, kCorrupt, "the image config: \"comment\" is not a string"},
         {"/history",
          {{{"empty_layer", "yes"}}},
          kCorrupt,
          "the image config: \"empty_layer\" is neither true nor false"}});
}

TEST_CASE("every field of a config arrives, and is printed where it was read") {
    json all = config();
    all["variant"] = "v3";
    all["created"] = "2024-05-06T07:08:09Z";
    all["author"] = "somebody";
    all["history"] = {{{"created", "2024-05-06T07:08:09Z"},
                       {"created_by", "RUN make"},
                       {"author", "me"},
                       {"comment", "buildkit.dockerfile.v0"},
                       {"empty_layer", true}},
                      {{"created_by", "COPY"}}};
    all["config"] = {{"User", "1000:1000"},
                     {"Env", {"PATH=/bin", "A="}},
                     {"Entrypoint", {"/init"}},
                     {"Cmd", {"a", "b"}},
                     {"WorkingDir", "/srv"},
                     {"StopSignal", "SIGRTMIN+3"},
                     {"Volumes", {{"/data", json::object()}, {"/cache", json::object()}}},
                     {"Shell", {"/bin/bash", "-c"}},
                     {"Labels", {{"a", "1"}}},
                     {"Healthcheck",
                      {{"Test", {"CMD-SHELL", "true"}},
                       {"Interval", 10'000'000'000},
                       {"Timeout", 1},
                       {"StartPeriod", 2},
                       {"StartInterval", 3},
                       {"Retries", 4}}}};
    const ImageConfig parsed = parse_config(all.dump());
    CHECK(parsed.platform == Platform{.architecture = "amd64", .variant = "v3"});
    CHECK(parsed.volumes == std::vector<std::string>{"/cache", "/data"});
    REQUIRE(parsed.health_check);
    CHECK(parsed.health_check->interval == 10'000'000'000);
    CHECK(parsed.health_check->timeout == 1);
    CHECK(parsed.health_check->start_period == 2);
    CHECK(parsed.health_check->start_interval == 3);
    CHECK(parsed.health_check->retries == 4);
    REQUIRE(parsed.history.size() == 2);
    CHECK(parsed.history[0].empty_layer);
    CHECK_FALSE(parsed.history[1].empty_layer);
    CHECK(json::parse(to_json(parsed)) == all);
}

TEST_CASE("the keys of a document are printed in the order of the specification") {
    const json scrambled = json::parse(R"({"zzz":1,"annotations":{"b":"1","a":"2"},"aaa":2,"layers":[],"config":{},
        "artifactType":"t","mediaType":"m","schemaVersion":2,"subject":{"size":1,"digest":"d","mediaType":"m",
        "urls":[],"platform":{"variant":"v","os.version":"1","os":"l","architecture":"a","os.features":[]}}})");
    CHECK(canonical_json(scrambled) ==
          R"({"schemaVersion":2,"mediaType":"m","artifactType":"t","config":{},"layers":[],)"
          R"("subject":{"mediaType":"m","digest":"d","size":1,"urls":[],)"
          R"("platform":{"architecture":"a","os":"l","os.version":"1","os.features":[],"variant":"v"}},)"
          R"("annotations":{"a":"2","b":"1"},"aaa":2,"zzz":1})");
    CHECK(canonical_json(json::parse(R"([1,-2,1.5,true,false,null,"\u00e9\n",[],{}])")) ==
          "[1,-2,1.5,true,false,null,\"\xc3\xa9\\n\",[],{}]");
    for (const char* bad : {"\xff", "a\xc3", "\xed\xa0\x80"}) {
        const Error error = error_of([&] { canonical_json(json{{"label", bad}}); });
        CHECK(error.kind() == ErrorKind::usage);
        CHECK(error.message() == "a label, an annotation or another text for the image is not UTF-8");
        CHECK_THROWS_AS(canonical_json(json{{bad, "x"}}), Error);
    }
}

TEST_CASE("JSON that two readers could read differently is refused") {
    const auto refused = [](const std::string& text) {
        return error_of([&] { parse_untrusted_json(text, "the thing"); }).message();
    };
    CHECK(refused(R"({"a":1,"a":1})") == "the thing has the key 'a' twice in one object");
    CHECK(refused(R"({"a":{"b":1,"c":2,"b":3}})") == "the thing has the key 'b' twice in one object");
    CHECK(refused(R"([{"a":1},{"x":0,"\u0061":1,"a":2}])") == "the thing has the key 'a' twice in one object");
    // The same key in objects that lie in each other or beside each other is none twice.
    CHECK_NOTHROW(parse_untrusted_json(R"({"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]})", "x"));
    for (const char* text : {"", "{", "}", "nul", "{\"a\":}", "{a:1}", "[1,]", "'a'", "{} {}", "\xff", "\"\x01\"", "01",
                             "// x\n{}", "NaN"})
        CHECK(refused(text) == "the thing is not JSON");
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK_NOTHROW(parse_untrusted_json(nested(64), "x"));
    CHECK(refused(nested(65)) == "the thing nests deeper than 64 levels");
    // Many objects beside each other take no longer than their text: an hour for 4 MiB, when each looked at the others.
    std::string list = "[{}";
    std::string object = "{\"0\":{}";
    for (int i = 1; i < 10'000; ++i) {
        list += ",{}";
        object += ",\"" + std::to_string(i) + "\":{}";
    }
    CHECK(parse_untrusted_json(list + "]", "x").size() == 10'000);
    CHECK(parse_untrusted_json(object + "}", "x").size() == 10'000);
    const Error error = error_of([&] { parse_untrusted_json(std::string(4 * 1024 * 1024 + 1, ' '), "the thing"); });
    CHECK(error.kind() == ErrorKind::limit);
    CHECK(error.message() == "the thing is larger than 4 MiB");
}

TEST_CASE("a manifest cut at any byte is refused") {
    for (const auto& [text, parse] : std::vector<std::pair<std::string, std::function<void(const std::string&)>>>{
             {manifest().dump(), [](const std::string& cut) { parse_manifest(cut); }},
             {index().dump(), [](const std::string& cut) { parse_index(cut); }},
             {config().dump(), [](const std::string& cut) { parse_config(cut); }}})
        for (std::size_t length = 0; length < text.size(); ++length)
            CHECK(error_of([&, &text = text, &parse = parse] { parse(text.substr(0, length)); }).kind() == kCorrupt);
}

TEST_CASE("a digest has 64 digits and a flipped one is none or another") {
    const std::string good = "sha256:" + std::string(32, 'a') + std::string(32, '0');
    CHECK(Digest::parse(good).hex() == good.substr(7));
    CHECK(Digest().text().empty());
    CHECK(Digest().empty());
    CHECK_FALSE(Digest::parse(good).empty());
    for (std::size_t i = 0; i < good.size(); ++i)
        for (const char c : {'g', 'A', ' ', '/', ':', '\0', '`'}) {
            std::string changed = good;
            if (changed[i] == c)
                continue;
            changed[i] = c;
            CHECK(error_of([&] { Digest::parse(changed); }).kind() == kCorrupt);
        }
    for (std::size_t length = 0; length < good.size(); ++length)
        CHECK_THROWS_AS(Digest::parse(good.substr(0, length)), Error);
    CHECK(error_of([] { Digest::parse("sha384:00"); }).message() == "'sha384:00' is not a sha256 digest");
    CHECK(error_of([] { Digest::parse("sha256:0"); }).message() ==
          "'sha256:0' is not a digest: sha256 has 64 lower-case hexadecimal digits");
    // FIPS 180-2, appendix B.1.
    CHECK(Digest::of("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
