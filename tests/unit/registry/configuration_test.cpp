// registries.conf and login files, held against what containers/image and docker make of them.
#include "formats/base/base64.hpp"
#include "libconvert/registry/credentials.hpp"
#include "libconvert/registry/manifests.hpp"
#include "libconvert/registry/registries_conf.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/fake_registry.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

using namespace vm2oci;
using namespace vm2oci::registry;
using test::error_of;
using test::FakeConnection;
using test::FakeRegistry;

namespace {

// "HOST/REPOSITORY" of each place that is tried, with " insecure".
std::vector<std::string> places(const std::string& configuration, const std::string& registry,
                                const std::string& repository, ReferenceBy by = ReferenceBy::tag,
                                Mirrors mirrors = Mirrors::use) {
    std::vector<std::string> lines;
    for (const Endpoint& one : endpoints_for(parse_registries_conf(configuration), registry, repository, by, mirrors))
        lines.push_back(one.registry + "/" + one.repository + (one.insecure ? " insecure" : ""));
    return lines;
}

std::string entry(const std::string& prefix, const std::string& location, const std::string& more = "") {
    return "[[registry]]\n" + (prefix.empty() ? "" : "prefix = '" + prefix + "'\n") +
           (location.empty() ? "" : "location = '" + location + "'\n") + more;
}

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("of several entries the one that says most is meant, in whatever order they stand") {
    struct Case {
        const char* name;
        std::string one;
        std::string other;
        const char* registry;
        const char* repository;
        const char* place;
    };
    for (const Case& test : {Case{"a repository before its registry", entry("r.test/team", "one.test/x"),
                                  entry("r.test", "two.test"), "r.test", "team/disk", "one.test/x/disk"},
                             Case{"an exact host before a wildcard", entry("a.corp.test", "one.test"),
                                  entry("*.corp.test", "two.test"), "a.corp.test", "team/disk", "one.test/team/disk"},
                             Case{"a long wildcard before a short one", entry("*.b.corp.test", "one.test"),
                                  entry("*.corp.test", "two.test"), "a.b.corp.test", "disk", "one.test/disk"},
                             Case{"a whole name before its beginning", entry("r.test/team/disk", "one.test/y"),
                                  entry("r.test/team", "two.test"), "r.test", "team/disk", "one.test/y"}}) {
        INFO(test.name);
        CHECK(places(test.one + test.other, test.registry, test.repository) == Lines{test.place});
        CHECK(places(test.other + test.one, test.registry, test.repository) == Lines{test.place});
    }
    // Of equal ones the later file's is meant.
    CHECK(places(entry("r.test", "one.test") + entry("r.test", "two.test"), "r.test", "x") == Lines{"two.test/x"});
}

TEST_CASE("a wildcard's location takes the place of the host") {
    const std::string wildcard = entry("*.corp.test", "near.test/all");
    CHECK(places(wildcard, "a.corp.test", "team/disk") == Lines{"near.test/all/team/disk"});
    CHECK(places(wildcard, "a.b.corp.test:5000", "disk") == Lines{"near.test/all/disk"});
    CHECK(places(wildcard, "corp.test", "disk") == Lines{"corp.test/disk"});
    CHECK(places(wildcard, "acorp.test", "disk") == Lines{"acorp.test/disk"});
    CHECK(places(wildcard, "r.test", "a.corp.test/disk") == Lines{"r.test/a.corp.test/disk"});
    // Without a location the host stays.
    CHECK(places(entry("*.corp.test", "", "insecure = true\n"), "a.corp.test:5000", "x") ==
          Lines{"a.corp.test:5000/x insecure"});
    CHECK(places(entry("*.corp.test", "", "[[registry.mirror]]\nlocation = 'm.test/c'\n"), "a.corp.test", "x/y") ==
          Lines{"m.test/c/x/y", "a.corp.test/x/y"});
}

TEST_CASE("a prefix ends at a part of the name, and what is left is kept") {
    const std::string team = entry("r.test/team", "near.test/t");
    CHECK(places(team, "r.test", "team/disk") == Lines{"near.test/t/disk"});
    CHECK(places(team, "r.test", "team") == Lines{"near.test/t"});
    CHECK(places(team, "r.test", "teams/disk") == Lines{"r.test/teams/disk"});
    CHECK(places(team, "r.test", "tea") == Lines{"r.test/tea"});
    CHECK(places(entry("", "r.test", "insecure = true\n"), "r.test", "x") == Lines{"r.test/x insecure"});
    CHECK(places(entry("", "r.test", "insecure = true\n"), "r.test:5000", "x") == Lines{"r.test:5000/x"});
    CHECK(places(entry("", ""), "r.test", "x") == Lines{"r.test/x"}); // says nothing
    const Error error = error_of([] { places(entry("r.test/team", "near.test"), "r.test", "team"); });
    CHECK(error.kind() == ErrorKind::usage);
    CHECK(error.message() == "registries.conf: 'near.test' leaves no repository");
    const Error blocked = error_of([&] { places(entry("", "r.test/bad", "blocked = true\n"), "r.test", "bad/x"); });
    CHECK(blocked.message() == "registries.conf blocks r.test/bad/x");
    CHECK(places(entry("", "r.test/bad", "blocked = true\n"), "r.test", "good") == Lines{"r.test/good"});
}

TEST_CASE("mirrors are tried for the references that they are for") {
    const std::string mirrors = entry("r.test", "",
                                      "[[registry.mirror]]\nlocation = 'all.test'\n"
                                      "[[registry.mirror]]\nlocation = 'd.test/p'\npull-from-mirror = 'digest-only'\n"
                                      "[[registry.mirror]]\nlocation = 't.test'\npull-from-mirror = 'tag-only'\n"
                                      "insecure = true\n"
                                      "[[registry.mirror]]\nlocation = 'e.test'\npull-from-mirror = 'all'\n"
                                      "[[registry.mirror]]\ninsecure = true\n");
    CHECK(places(mirrors, "r.test", "x", ReferenceBy::tag) ==
          Lines{"all.test/x", "t.test/x insecure", "e.test/x", "r.test/x"});
    CHECK(places(mirrors, "r.test", "x", ReferenceBy::digest) ==
          Lines{"all.test/x", "d.test/p/x", "e.test/x", "r.test/x"});
    CHECK(places(mirrors, "r.test", "x", ReferenceBy::tag, Mirrors::skip) == Lines{"r.test/x"});
}

TEST_CASE("registries.conf is found where containers/image looks for it") {
    const test::TemporaryFolder folder;
    const auto write = [&](const std::string& name, const std::string& text) {
        const auto path = folder.path() / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    };
    write("home/.config/containers/registries.conf", entry("", "one.test"));
    write("home/.config/containers/registries.conf.d/20-b.conf", entry("", "three.test"));
    write("home/.config/containers/registries.conf.d/10-a.conf", entry("", "two.test"));
    write("home/.config/containers/registries.conf.d/ignored.txt", entry("", "ignored.test"));
    write("xdg/containers/registries.conf", entry("", "four.test"));
    write("chosen", entry("", "five.test"));
    const auto loaded = [] {
        Lines lines;
        for (const RegistryEntry& one : load_registries_conf())
            lines.push_back(one.location);
        return lines;
    };
    const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
    ::setenv("HOME", (folder.path() / "home").c_str(), 1);
    ::unsetenv("XDG_CONFIG_HOME");
    ::unsetenv("CONTAINERS_REGISTRIES_CONF");
    CHECK(loaded() == Lines{"one.test", "two.test", "three.test"});
    ::setenv("XDG_CONFIG_HOME", (folder.path() / "xdg").c_str(), 1);
    CHECK(loaded() == Lines{"four.test"});
    ::setenv("CONTAINERS_REGISTRIES_CONF", (folder.path() / "chosen").c_str(), 1);
    CHECK(loaded() == Lines{"five.test"});
    write("chosen", "[[registry]]\nlocation = 1\n");
    const Error error = error_of([&] { loaded(); });
    CHECK(std::string(error.what()) ==
          "reading " + (folder.path() / "chosen").string() + ": line 2: location must be a string");
    ::unsetenv("CONTAINERS_REGISTRIES_CONF");
    ::unsetenv("XDG_CONFIG_HOME");
    ::setenv("HOME", home.c_str(), 1);
}

TEST_CASE("login files are looked for where docker, podman and skopeo keep them") {
    const std::vector<const char*> names = {"REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG",
                                            "HOME"};
    const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
    const auto with = [&](const std::vector<const char*>& values, const char* chosen = "") {
        for (std::size_t i = 0; i < names.size(); ++i)
            values[i] == nullptr ? ::unsetenv(names[i]) : ::setenv(names[i], values[i], 1);
        Lines lines;
        for (const auto& path : auth_file_paths(chosen))
            lines.push_back(path.string());
        return lines;
    };
    const std::string uid = std::to_string(::getuid());
    CHECK(with({nullptr, "/run/user/7", nullptr, nullptr, "/home/me"}) ==
          Lines{"/run/user/7/containers/auth.json", "/home/me/.config/containers/auth.json",
                "/home/me/.docker/config.json", "/home/me/.dockercfg"});
    CHECK(with({nullptr, nullptr, "/conf", "/dock", "/home/me"}) == Lines{"/run/containers/" + uid + "/auth.json",
                                                                          "/conf/containers/auth.json",
                                                                          "/dock/config.json", "/home/me/.dockercfg"});
    CHECK(with({nullptr, nullptr, nullptr, nullptr, nullptr}) == Lines{"/run/containers/" + uid + "/auth.json"});
    CHECK(with({"/named", "/run/user/7", nullptr, nullptr, "/home/me"}) == Lines{"/named"});
    CHECK(with({"/named", "/run/user/7", nullptr, nullptr, "/home/me"}, "/chosen") == Lines{"/chosen"});
    with({nullptr, nullptr, nullptr, nullptr, home.c_str()});
}

TEST_CASE("a login's keys go from the repository to its registry") {
    CHECK(credential_keys("r.test:5000", "a/b/c") ==
          Lines{"r.test:5000/a/b/c", "r.test:5000/a/b", "r.test:5000/a", "r.test:5000"});
    CHECK(credential_keys("r.test", "") == Lines{"r.test"});
    for (const auto& [written, key] : {std::pair{"https://r.test/v1/", "r.test"},
                                       {"http://r.test", "r.test"},
                                       {"https://r.test:5000/v2/x", "r.test:5000"},
                                       {"r.test/team/", "r.test/team"},
                                       {"r.test///", "r.test"},
                                       {"r.test/team", "r.test/team"}}) {
        const AuthFile file = parse_auth_file("{\"auths\":{\"" + std::string(written) + "\":{\"auth\":\"dTpw\"}}}");
        CHECK(file.entries.contains(key));
    }
}

TEST_CASE("a login is what stands in its entry") {
    const auto parsed = [](const std::string& body) -> std::optional<Credentials> {
        const AuthFile file = parse_auth_file("{\"auths\":{\"r.test\":" + body + "}}");
        return file.entries.empty() ? std::nullopt : std::optional(file.entries.begin()->second);
    };
    const auto colons = parsed("{\"auth\":\"" + encode_base64("u:p:q:") + "\"}");
    REQUIRE(colons);
    CHECK(colons->username == "u");
    CHECK(colons->password == "p:q:");
    const auto apart = parsed(R"({"username":"u","password":"p"})");
    REQUIRE(apart);
    CHECK(apart->username == "u");
    CHECK(apart->password == "p");
    const auto azure =
        parsed(R"({"auth":")" + encode_base64("00000000-0000-0000-0000-000000000000:") + R"(","identitytoken":"tok"})");
    REQUIRE(azure);
    CHECK(azure->identity_token == "tok");
    CHECK(azure->password.empty());
    CHECK(parsed(R"({"identitytoken":"tok"})")->identity_token == "tok");
    for (const char* nothing : {"{}", "null", "[]", R"({"auth":""})", R"({"auth":"***"})", R"({"password":"p"})"})
        CHECK_FALSE(parsed(nothing));
    CHECK_FALSE(parsed("{\"auth\":\"" + encode_base64("nobody") + "\"}"));
    CHECK_FALSE(parsed("{\"auth\":\"" + encode_base64(":p") + "\"}"));
}

TEST_CASE("Docker Hub's login has names of its own") {
    const test::TemporaryFolder folder;
    const auto file = folder.path() / "auth.json";
    const auto found = [&](const std::string& text, const char* registry = "docker.io") {
        std::ofstream(file, std::ios::trunc) << text;
        return StoredCredentials(file).find(registry, "library/debian");
    };
    CHECK(found(R"({"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}})")->username == "u");
    CHECK(found(R"({"auths":{"docker.io":{"auth":"dTpw"}}})")->username == "u");
    CHECK(found(R"({"auths":{"index.docker.io":{"auth":"eTpw"},"docker.io/library":{"auth":"dTpw"}}})")->username ==
          "u");
    CHECK_FALSE(found(R"({"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}})", "quay.io"));
    // Helpers that nobody has installed tell whom they were asked about.
    const auto asked = [&](const std::string& text, const char* registry = "docker.io") {
        return std::string(error_of([&] { found(text, registry); }).what());
    };
    const auto about = [&](const std::string& server) {
        return Catch::Contains("asking docker-credential-vm2oci-absent about " + server + ": ");
    };
    CHECK_THAT(asked(R"({"credsStore":"vm2oci-absent"})"), about("https://index.docker.io/v1/"));
    CHECK_THAT(asked(R"({"credsStore":"vm2oci-absent"})", "quay.io"), about("quay.io"));
    CHECK_THAT(asked(R"({"credHelpers":{"docker.io":"vm2oci-absent"}})"), about("docker.io"));
    CHECK_THAT(asked(R"({"credHelpers":{"https://index.docker.io/v1/":"vm2oci-absent"}})"),
               about("https://index.docker.io/v1/"));
    CHECK_THAT(asked(R"({"credHelpers":{"quay.io":"vm2oci-absent"}})", "quay.io"), about("quay.io"));
    CHECK_FALSE(found(R"({"credHelpers":{"index.docker.io":"vm2oci-absent"}})", "quay.io"));
}

namespace {

const Digest kSubject = Digest::of("subject");

std::string index_with(const std::string& entry_json) {
    return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)" + entry_json +
           "]}";
}

std::string listed(const std::string& name) {
    return R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":")" +
           Digest::of(name).text() + "\"}";
}

} // namespace

TEST_CASE("a list of referrers whose second page fails is no shorter list") {
    FakeConnection connection;
    int status = 404;
    connection.server->intercept = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
        const std::string& path = request.url.path_and_query;
        if (path == "/v2/team/disk/referrers/" + kSubject.text())
            return FakeRegistry::answer(200, index_with(listed("one")), {{"Link", "</v2/more>; rel=\"next\""}});
        if (path == "/v2/more")
            return FakeRegistry::answer(status, index_with(""));
        return std::nullopt;
    };
    CHECK(error_of([&] { list_referrers(*connection.client, kSubject); })
              .message()
              .starts_with("registry.test answered 404"));
    status = 403;
    CHECK_THROWS_AS(list_referrers(*connection.client, kSubject), Error);
    status = 200; // an empty page ends the list
    CHECK(list_referrers(*connection.client, kSubject).size() == 1);
}

TEST_CASE("a fall-back index that is odd is taken as far as it goes") {
    // What others have left there: entries without a digest, with a number for one, and no list at all.
    for (const std::string& odd : {index_with(R"({"digest":5},7,{"x":null})"), index_with(""),
                                   std::string(R"({"schemaVersion":2,"manifests":{}})")}) {
        INFO(odd);
        FakeConnection connection;
        connection.server->manifests["team/disk"]["sha256-" + kSubject.hex()] = {odd, media_type::oci_index};
        const std::string bytes = R"({"schemaVersion":2,"subject":{"digest":")" + kSubject.text() + "\"}}";
        const Descriptor descriptor{
            .media_type = media_type::oci_manifest, .digest = Digest::of(bytes), .size = bytes.size()};
        store_manifest(*connection.client, "v1", bytes, descriptor);
        const auto& stored = connection.server->manifests["team/disk"]["sha256-" + kSubject.hex()].first;
        CHECK(stored.find(descriptor.digest.text()) != std::string::npos);
    }
    FakeConnection connection;
    const std::string bytes = R"({"schemaVersion":2,"subject":{"digest":5}})";
    const Error error = error_of([&] {
        store_manifest(*connection.client, "v1", bytes, {.media_type = "x", .digest = Digest::of(bytes), .size = 1});
    });
    CHECK(error.kind() == ErrorKind::corrupt);
}
