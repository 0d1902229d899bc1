// Servers behind TLS that nobody vouches for are not spoken to.
#include "formats/base/error.hpp"
#include "libconvert/remote/nbd_trust.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <string>
#include <vector>

using namespace vm2oci;

TEST_CASE("an NBD server behind TLS needs somebody who vouches for it") {
    const test::TemporaryFolder folder;
    const std::string empty = (folder.path() / "empty").string();
    const std::string full = (folder.path() / "full of certificates").string();
    std::filesystem::create_directory(empty);
    std::filesystem::create_directory(full);
    std::ofstream(full + "/ca-cert.pem") << "certificate";
    const std::string encoded = (folder.path() / "full%20of%20certificates").string();
    for (const std::string& taken : std::vector<std::string>{
             "nbd://host.example/x", "nbd+unix:///x?socket=/s", "nbds://host.example/x?tls-certificates=" + full,
             "nbds://host.example/x?tls-certificates=" + encoded, "nbds://host.example/x?a=b&tls-certificates=" + full,
             "nbds://host.example/?tls-psk-file=/k", "nbds+unix:///x?socket=/s&tls-psk-file=/k",
             "nbds://host.example/?tls-verify-peer=false", "nbds+unix:///x?socket=/s&tls-verify-peer=no"}) {
        INFO(taken);
        CHECK_NOTHROW(require_trusted_server(taken));
    }
    for (const std::string& refused : std::vector<std::string>{
             "nbds://host.example/x?tls-certificates=" + empty, "nbds://host.example/x?tls-certificates=/nonexistent",
             "nbds://host.example/x?tls-certificates=" + full + "&tls-certificates=" + empty,
             "nbds://host.example/x?tls-certificates=",
             "nbds://host.example/x?tls-verify-peer=true&tls-certificates=" + empty,
             "nbds://host.example/tls-psk-file=/k?tls-certificates=" + empty,
             "nbds+unix:///x?socket=/s&tls-certificates=" + full,
             "nbds://host.example/?tls-certificates=" + empty + "#tls-psk-file=/k"}) {
        INFO(refused);
        CHECK_THROWS_AS(require_trusted_server(refused), Error);
    }
}
