#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/output_file.hpp"
#include "libconvert/registry/tls_settings.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace vm2oci;
using namespace vm2oci::registry;
namespace fs = std::filesystem;

namespace {

struct Environment {
    Environment(const fs::path& file, const std::string& folders) {
        ::setenv("SSL_CERT_FILE", file.c_str(), 1);
        ::setenv("SSL_CERT_DIR", folders.c_str(), 1);
    }
    ~Environment() {
        ::unsetenv("SSL_CERT_FILE");
        ::unsetenv("SSL_CERT_DIR");
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
};

void write(const fs::path& path, std::string_view text) {
    fs::create_directories(path.parent_path());
    write_output(path, as_bytes(text));
}

} // namespace

TEST_CASE("roots of the environment count beside those of certs.d") {
    const test::TemporaryFolder folder;
    write(folder.path() / "one.pem", "ONE");
    write(folder.path() / "a/two.pem", "TWO");
    write(folder.path() / "b/three", "THREE");
    fs::create_symlink("three", folder.path() / "b/12345678.0");
    write(folder.path() / "certs/ca.crt", "CERTS");
    const Environment environment(folder.path() / "one.pem",
                                  (folder.path() / "a").string() + ":" + (folder.path() / "b").string());
    const std::string roots = load_tls_settings("registry.test:5000", folder.path() / "certs").extra_roots;
    for (const char* part : {"ONE\n", "TWO\n", "THREE\n", "CERTS\n"})
        CHECK(roots.find(part) != std::string::npos);
    CHECK(roots.find("THREE") == roots.rfind("THREE"));
    CHECK(load_tls_settings("registry.test", "").extra_roots.find("CERTS") == std::string::npos);
}

TEST_CASE("roots of the environment that are not there are named") {
    const test::TemporaryFolder folder;
    {
        const Environment environment(folder.path() / "absent.pem", "");
        CHECK_THROWS_WITH(load_tls_settings("registry.test", ""),
                          Catch::Contains("SSL_CERT_FILE") && Catch::Contains("absent.pem"));
    }
    {
        const Environment environment("", (folder.path() / "nowhere").string());
        CHECK_THROWS_WITH(load_tls_settings("registry.test", ""),
                          Catch::Contains("SSL_CERT_DIR") && Catch::Contains("nowhere"));
    }
    CHECK(load_tls_settings("registry.test", "").extra_roots.empty());
}

TEST_CASE("a folder of certificates that is not there is named") {
    const test::TemporaryFolder folder;
    CHECK_THROWS_WITH(load_tls_settings("registry.test", folder.path() / "certs"),
                      Catch::Contains("folder of certificates") && Catch::Contains("certs"));
    write(folder.path() / "only.cert", "CERT");
    CHECK_THROWS_WITH(load_tls_settings("registry.test", folder.path()), Catch::Contains("only.key"));
}
