#include "formats/base/base64.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/output_file.hpp"
#include "libconvert/registry/credentials.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace vm2oci;
using namespace vm2oci::registry;
namespace fs = std::filesystem;

namespace {

struct LoginFile {
    test::TemporaryFolder folder;
    explicit LoginFile(std::string_view text) { write_output(path(), as_bytes(text)); }
    fs::path path() const { return folder.path() / "auth.json"; }
};

} // namespace

TEST_CASE("base64 goes both ways") {
    for (const char* text : {"", "a", "ab", "abc", "user:p\xC3\xA4ss:word", "\xFF\xFE\xFD\xFC"}) {
        CHECK(decode_base64(encode_base64(text)) == text);
    }
    CHECK(encode_base64("user:pass") == "dXNlcjpwYXNz");
    CHECK(decode_base64("dXNlcjpwYXNz") == "user:pass");
    CHECK(decode_base64("dXNl*") == std::nullopt);
    CHECK(decode_base64("A") == std::nullopt);
    CHECK(decode_base64("") == "");
    CHECK(decode_base64("YQ") == "a");
    CHECK(decode_base64("YQ==") == "a");
    CHECK(decode_base64(" YWJj") == std::nullopt);
    CHECK(decode_base64("YW\nJj") == std::nullopt);
    CHECK(decode_base64("YWJj-") == std::nullopt);
    CHECK(decode_base64_lenient("YW\r\nJj ==") == "abc");
    CHECK(decode_base64_lenient("\"YQ\"") == "a");
    CHECK(encode_base64("") == "");
    CHECK(encode_base64("ab") == "YWI=");
}

TEST_CASE("the most exact key of a login file wins") {
    // a:1, b:2, c:3
    const LoginFile file(R"({"auths":{"registry.test:5000":{"auth":"YTox"},"registry.test:5000/team":{"auth":"Yjoy"},
                                      "registry.test:5000/team/disk":{"auth":"Yzoz"}}})");
    const StoredCredentials login(file.path());
    CHECK(login.find("registry.test:5000", "team/disk")->username == "c");
    CHECK(login.find("registry.test:5000", "team/disk")->password == "3");
    CHECK(login.find("registry.test:5000", "team/other")->username == "b");
    CHECK(login.find("registry.test:5000", "teams/disk")->username == "a");
    CHECK(login.find("registry.test", "team/disk") == std::nullopt);
    CHECK(login.find("team", "disk") == std::nullopt);
}

TEST_CASE("docker's forms of a login file are read") {
    const AuthFile old = parse_auth_file(R"({"https://registry.test/v1/":{"auth":"dTpw","email":"x"}})");
    CHECK(old.entries.at("registry.test").username == "u");
    const AuthFile helpers = parse_auth_file(
        R"({"auths":{"registry.test":{}},"credHelpers":{"cloud.test":"cloud"},"credsStore":"desktop"})");
    CHECK(helpers.entries.empty());
    CHECK(helpers.helpers.at("cloud.test") == "cloud");
    CHECK(helpers.default_helper == "desktop");
    const AuthFile identity = parse_auth_file(R"({"auths":{"registry.test":{"auth":"dTo=","identitytoken":"idt"}}})");
    CHECK(identity.entries.at("registry.test").identity_token == "idt");
    const std::string padded = encode_base64(std::string("u:p\0\0", 5));
    CHECK(parse_auth_file(R"({"auths":{"r.test":{"auth":")" + padded + R"("}}})").entries.at("r.test").password == "p");
    CHECK(parse_auth_file("{}").entries.empty());
}

TEST_CASE("a broken login file is named and never quoted") {
    const LoginFile file(R"({"auths":{"registry.test":{"auth":"s3cret)");
    try {
        StoredCredentials(file.path()).find("registry.test", "a");
        FAIL("it was accepted");
    } catch (const Error& error) {
        CHECK(std::string(error.what()).find(file.path().string()) != std::string::npos);
        CHECK(std::string(error.what()).find("s3cret") == std::string::npos);
    }
    CHECK_THROWS_AS(StoredCredentials("/nonexistent/auth.json").find("registry.test", "a"), Error);
}

TEST_CASE("an empty login file knows nobody") {
    for (const char* text : {"", " \n", "{}", "{\"auths\":null}"}) {
        const LoginFile file(text);
        CHECK(StoredCredentials(file.path()).find("registry.test", "a") == std::nullopt);
    }
}

TEST_CASE("a login file that is in the way does not hide the next one") {
    const test::TemporaryFolder home;
    fs::create_directories(home.path() / ".config/containers");
    fs::create_directories(home.path() / ".docker");
    const auto with_home = [&](auto body) {
        const std::string before = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
        for (const char* name : {"REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "DOCKER_CONFIG"})
            ::unsetenv(name);
        ::setenv("HOME", home.path().c_str(), 1);
        ::setenv("XDG_RUNTIME_DIR", (home.path() / "run").c_str(), 1);
        body();
        ::setenv("HOME", before.c_str(), 1);
        ::unsetenv("XDG_RUNTIME_DIR");
    };
    const auto write = [&](const char* name, std::string_view text) {
        write_output(home.path() / name, as_bytes(text));
    };
    write(".config/containers/auth.json", R"({"auths":{"registry.test":{"au)");
    write(".docker/config.json", R"({"auths":{"registry.test":{"auth":"dTpw"}}})");
    with_home([&] { CHECK(StoredCredentials("").find("registry.test", "a")->username == "u"); });
    // A helper that nobody has installed.
    write(".config/containers/auth.json", R"({"credHelpers":{"registry.test":"vm2oci-missing"}})");
    with_home([&] { CHECK(StoredCredentials("").find("registry.test", "a")->username == "u"); });
    write(".docker/config.json", R"({"credsStore":"vm2oci-absent"})");
    with_home([&] {
        CHECK_THROWS_WITH(StoredCredentials("").find("registry.test", "a"),
                          Catch::Contains("vm2oci-missing") && Catch::Contains("vm2oci-absent"));
    });
}

TEST_CASE("entries of the wrong shape are passed over") {
    const AuthFile file = parse_auth_file(R"({"auths":{"a.test":5,"b.test":{"auth":7},"c.test":{"auth":"bm9jb2xvbg=="},
                                              "d.test":{"auth":"***"},"e.test":{"auth":"dTpw"}},"credHelpers":[1],"credsStore":{}})");
    CHECK(file.entries.size() == 1);
    CHECK(file.entries.contains("e.test"));
}

TEST_CASE("a helper's answer is a login or an identity token") {
    const Credentials login = parse_helper_answer(R"({"ServerURL":"x","Username":"u","Secret":"s"})");
    CHECK(login.username == "u");
    CHECK(login.password == "s");
    const Credentials token = parse_helper_answer(R"({"Username":"<token>","Secret":"idt"})");
    CHECK(token.identity_token == "idt");
    CHECK(token.username.empty());
    CHECK(token.password.empty());
    CHECK_THROWS_AS(parse_helper_answer("s3cret"), Error);
}

TEST_CASE("a helper's name cannot be a path") {
    CHECK_THROWS_AS(ask_credential_helper("../../bin/x", "registry.test"), Error);
    CHECK_THROWS_AS(ask_credential_helper("", "registry.test"), Error);
}
