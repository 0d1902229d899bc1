#include "formats/base/fingerprint.hpp"

#include "formats/base/error.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

namespace vm2oci {
namespace {

unsigned char* openssl_bytes(std::byte* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}

const unsigned char* openssl_bytes(const std::byte* bytes) {
    return reinterpret_cast<const unsigned char*>(bytes);
}

void require_gmac(bool done) {
    if (!done)
        fail(ErrorKind::external, "OpenSSL failed to compute a GMAC");
}

} // namespace

FingerprintKey random_fingerprint_key() {
    FingerprintKey key{};
    if (RAND_bytes(openssl_bytes(key.data()), static_cast<int>(key.size())) != 1)
        fail(ErrorKind::external, "OpenSSL has no random numbers");
    return key;
}

struct Fingerprinter::State {
    explicit State(const FingerprintKey& the_key)
        : key(the_key), algorithm(EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_GMAC, nullptr)),
          context(algorithm != nullptr ? EVP_MAC_CTX_new(algorithm) : nullptr) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        EVP_MAC_CTX_free(context);
        EVP_MAC_free(algorithm);
    }

    FingerprintKey key;
    EVP_MAC* algorithm;
    EVP_MAC_CTX* context;
};

Fingerprinter::Fingerprinter(const FingerprintKey& key) : state_(std::make_unique<State>(key)) {
    require_gmac(state_->context != nullptr);
}

Fingerprinter::Fingerprinter(Fingerprinter&&) noexcept = default;
Fingerprinter& Fingerprinter::operator=(Fingerprinter&&) noexcept = default;
Fingerprinter::~Fingerprinter() = default;

Fingerprint Fingerprinter::operator()(std::span<const std::byte> content) {
    char cipher[] = "AES-128-GCM";
    // One nonce for all is right here: equal contents must have equal fingerprints, and nobody else sees them.
    unsigned char nonce[12] = {};
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, &cipher[0], 0),
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, &nonce[0], sizeof nonce),
        OSSL_PARAM_construct_end(),
    };
    Fingerprint result{};
    std::size_t length = 0;
    require_gmac(EVP_MAC_init(state_->context, openssl_bytes(state_->key.data()), state_->key.size(), &parameters[0]) ==
                     1 &&
                 EVP_MAC_update(state_->context, openssl_bytes(content.data()), content.size()) == 1 &&
                 EVP_MAC_final(state_->context, openssl_bytes(result.data()), &length, result.size()) == 1 &&
                 length == result.size());
    return result;
}

} // namespace vm2oci
