#include "formats/base/fd.hpp"
#include "formats/base/fingerprint.hpp"
#include "formats/base/sha256.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace vm2oci;

TEST_CASE("a fingerprint is the GMAC of NIST SP 800-38D") {
    // AES-128-GCM of nothing under the key and the nonce of zeros: test case 1 of the specification of GCM.
    Fingerprinter fingerprint(FingerprintKey{});
    CHECK(to_hex(fingerprint({})) == "58e2fccefa7e3061367f1d57a4e7455a");
}

TEST_CASE("a fingerprint depends on all of the content and on the key") {
    const FingerprintKey key = random_fingerprint_key();
    Fingerprinter fingerprint(key);
    std::string content(1 << 20, 'x');
    const Fingerprint first = fingerprint(as_bytes(content));
    CHECK(fingerprint(as_bytes(content)) == first);
    CHECK(Fingerprinter(key)(as_bytes(content)) == first);
    CHECK(fingerprint(as_bytes(content).first(content.size() - 1)) != first);
    content[700000] = 'y';
    CHECK(fingerprint(as_bytes(content)) != first);
    content[700000] = 'x';
    CHECK(Fingerprinter(random_fingerprint_key())(as_bytes(content)) != first);
}
