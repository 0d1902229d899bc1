#include "formats/base/sha256.hpp"

#include "formats/base/error.hpp"

#include <openssl/evp.h>

#include <algorithm>

namespace vm2oci {

struct Sha256::State {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
    if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1)
        fail(ErrorKind::external, "OpenSSL has no SHA-256");
}

Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
    if (EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) != 1)
        fail(ErrorKind::external, "OpenSSL failed to compute SHA-256");
}

Sha256Sum Sha256::finish() {
    Sha256Sum sum{};
    unsigned length = 0;
    if (EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(sum.data()), &length) != 1)
        fail(ErrorKind::external, "OpenSSL failed to compute SHA-256");
    return sum;
}

Sha256Sum sha256(std::span<const std::byte> bytes) {
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

Sha256Sum as_sha256_sum(std::span<const std::byte> bytes) {
    Sha256Sum sum{};
    if (bytes.size() != sum.size())
        fail(ErrorKind::usage, "a SHA-256 sum has 32 bytes");
    std::copy(bytes.begin(), bytes.end(), sum.begin());
    return sum;
}

std::string to_hex(std::span<const std::byte> bytes) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::byte value : bytes) {
        text += digits[std::to_integer<unsigned>(value) >> 4];
        text += digits[std::to_integer<unsigned>(value) & 15];
    }
    return text;
}

} // namespace vm2oci
