#include "formats/base/message_digest.hpp"

#include "formats/base/error.hpp"

#include <openssl/evp.h>

#include <string>

namespace vm2oci {
namespace {

const EVP_MD* function_of(HashAlgorithm algorithm) {
    switch (algorithm) {
    case HashAlgorithm::sha1:
        return EVP_sha1();
    case HashAlgorithm::sha256:
        return EVP_sha256();
    case HashAlgorithm::sha384:
        return EVP_sha384();
    case HashAlgorithm::sha512:
        return EVP_sha512();
    }
    return nullptr;
}

} // namespace

std::string_view to_string(HashAlgorithm algorithm) {
    switch (algorithm) {
    case HashAlgorithm::sha1:
        return "SHA1";
    case HashAlgorithm::sha256:
        return "SHA256";
    case HashAlgorithm::sha384:
        return "SHA384";
    case HashAlgorithm::sha512:
        return "SHA512";
    }
    return "";
}

std::size_t digest_size(HashAlgorithm algorithm) {
    return static_cast<std::size_t>(EVP_MD_get_size(function_of(algorithm)));
}

struct MessageDigest::State {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { EVP_MD_CTX_free(context); }
};

MessageDigest::MessageDigest(HashAlgorithm algorithm) : state_(std::make_unique<State>()) {
    if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, function_of(algorithm), nullptr) != 1)
        fail(ErrorKind::external, "OpenSSL has no " + std::string(to_string(algorithm)));
}

MessageDigest::MessageDigest(MessageDigest&&) noexcept = default;
MessageDigest& MessageDigest::operator=(MessageDigest&&) noexcept = default;
MessageDigest::~MessageDigest() = default;

void MessageDigest::update(std::span<const std::byte> bytes) {
    if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1)
        fail(ErrorKind::external, "OpenSSL failed to compute a digest");
}

std::vector<std::byte> MessageDigest::finish() {
    std::vector<std::byte> digest(EVP_MAX_MD_SIZE);
    unsigned length = 0;
    if (EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(digest.data()), &length) != 1)
        fail(ErrorKind::external, "OpenSSL failed to compute a digest");
    digest.resize(length);
    return digest;
}

} // namespace vm2oci
