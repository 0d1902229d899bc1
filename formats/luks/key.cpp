#include "formats/luks/key.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <argon2.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

namespace vm2oci::luks {
namespace {

constexpr std::uint32_t kMaxLanes = 64; // cryptsetup: 4
constexpr std::size_t kMaxSalt = 1024;  // 32 bytes in all that was ever written

struct DigestDeleter {
    void operator()(EVP_MD* digest) const { EVP_MD_free(digest); }
};
struct ContextDeleter {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Digest = std::unique_ptr<EVP_MD, DigestDeleter>;

Digest find_digest(const std::string& name) {
    Digest digest(EVP_MD_fetch(nullptr, name.c_str(), nullptr));
    ERR_clear_error();
    if (!digest || EVP_MD_get_size(digest.get()) < 16 || (EVP_MD_get_flags(digest.get()) & EVP_MD_FLAG_XOF) != 0)
        fail(ErrorKind::unsupported,
             fmt::format("its keys are made with the hash {}, which is not known here", quote_untrusted(name)));
    return digest;
}

const unsigned char* raw(std::span<const std::byte> bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

unsigned char* raw(std::span<std::byte> bytes) {
    return reinterpret_cast<unsigned char*>(bytes.data());
}

void hash_into(EVP_MD_CTX* context, const EVP_MD* digest, std::span<const std::byte> front,
               std::span<const std::byte> bytes, std::span<std::byte> out) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> sum;
    unsigned length = 0;
    if (EVP_DigestInit_ex(context, digest, nullptr) != 1 ||
        EVP_DigestUpdate(context, front.data(), front.size()) != 1 ||
        EVP_DigestUpdate(context, bytes.data(), bytes.size()) != 1 ||
        EVP_DigestFinal_ex(context, sum.data(), &length) != 1)
        fail(ErrorKind::external, "OpenSSL cannot hash a key");
    std::copy_n(reinterpret_cast<const std::byte*>(sum.data()), std::min<std::size_t>(length, out.size()), out.data());
    OPENSSL_cleanse(sum.data(), sum.size());
}

} // namespace

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
    if (this != &other) {
        wipe();
        bytes_ = std::move(other.bytes_);
    }
    return *this;
}

void SecretBytes::wipe() noexcept {
    if (!bytes_.empty())
        OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

void Budget::take_rounds(std::uint64_t wanted) {
    if (wanted > rounds)
        fail(ErrorKind::limit, "its keys ask for more computing than any real ones");
    rounds -= wanted;
}

void Budget::take_argon(std::uint32_t passes, std::uint32_t kibibytes) {
    if (kibibytes > argon_kibibytes)
        fail(ErrorKind::limit, fmt::format("its key asks for {} MiB of memory, and {} are given", kibibytes / 1024,
                                           argon_kibibytes / 1024));
    const std::uint64_t wanted = std::uint64_t{passes} * kibibytes * 1024; // 32 + 20 + 10 bits
    if (wanted > argon_bytes)
        fail(ErrorKind::limit, "its keys ask for more computing than any real ones");
    argon_bytes -= wanted;
}

void check_hash(const std::string& name) {
    find_digest(name);
}

SecretBytes derive_key(const Kdf& kdf, std::span<const std::byte> secret, std::size_t size, Budget& budget) {
    SecretBytes key(size);
    if (kdf.salt.empty() || kdf.salt.size() > kMaxSalt || size == 0)
        fail(ErrorKind::corrupt, "a key of LUKS has no salt");
    if (kdf.kind == KdfKind::pbkdf2) {
        const Digest digest = find_digest(kdf.hash);
        if (kdf.iterations == 0 || kdf.iterations > 0x7fffffff)
            fail(ErrorKind::corrupt, "a key of LUKS is made in no rounds");
        const auto block = static_cast<std::size_t>(EVP_MD_get_size(digest.get()));
        budget.take_rounds(std::uint64_t{kdf.iterations} * ((size + block - 1) / block));
        if (PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(secret.data()), static_cast<int>(secret.size()),
                              raw(std::span(kdf.salt)), static_cast<int>(kdf.salt.size()),
                              static_cast<int>(kdf.iterations), digest.get(), static_cast<int>(size),
                              raw(key.span())) != 1)
            fail(ErrorKind::external, "OpenSSL cannot make a key");
        return key;
    }
    if (kdf.lanes == 0 || kdf.lanes > kMaxLanes || kdf.passes == 0 || kdf.kibibytes / 8 < kdf.lanes)
        fail(ErrorKind::corrupt, "a key of LUKS has parameters that argon2 does not take");
    budget.take_argon(kdf.passes, kdf.kibibytes);
    const auto hash = kdf.kind == KdfKind::argon2i ? argon2i_hash_raw : argon2id_hash_raw;
    const int result = hash(kdf.passes, kdf.kibibytes, kdf.lanes, secret.data(), secret.size(), kdf.salt.data(),
                            kdf.salt.size(), key.span().data(), size);
    if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
        fail(ErrorKind::limit,
             fmt::format("its key asks for {} MiB of memory, and this machine has not so much", kdf.kibibytes / 1024));
    if (result != ARGON2_OK)
        fail(ErrorKind::corrupt, fmt::format("a key of LUKS cannot be made: {}", argon2_error_message(result)));
    return key;
}

SecretBytes merge_stripes(std::span<const std::byte> material, std::size_t key_size, const std::string& hash) {
    const Digest digest = find_digest(hash);
    const std::unique_ptr<EVP_MD_CTX, ContextDeleter> context(EVP_MD_CTX_new());
    if (!context)
        fail(ErrorKind::external, "OpenSSL cannot hash a key");
    const auto block = static_cast<std::size_t>(EVP_MD_get_size(digest.get()));
    SecretBytes key(key_size);
    SecretBytes mixed(key_size);
    const std::span<std::byte> sum = key.span();
    for (std::size_t at = 0; at < material.size(); at += key_size) {
        for (std::size_t i = 0; i < key_size; ++i)
            sum[i] ^= material[at + i];
        if (at + key_size >= material.size())
            break;
        // Each piece of a digest's size is hashed behind its number.
        for (std::size_t begin = 0, number = 0; begin < key_size; begin += block, ++number) {
            const std::size_t length = std::min(block, key_size - begin);
            std::array<std::byte, 4> front;
            store_be<std::uint32_t>(front.data(), static_cast<std::uint32_t>(number));
            hash_into(context.get(), digest.get(), front, sum.subspan(begin, length),
                      mixed.span().subspan(begin, length));
        }
        std::copy(mixed.span().begin(), mixed.span().end(), sum.begin());
    }
    return key;
}

SecretBytes hash_of(const std::string& hash, std::span<const std::byte> bytes) {
    const Digest digest = find_digest(hash);
    const std::unique_ptr<EVP_MD_CTX, ContextDeleter> context(EVP_MD_CTX_new());
    if (!context)
        fail(ErrorKind::external, "OpenSSL cannot hash a key");
    SecretBytes sum(static_cast<std::size_t>(EVP_MD_get_size(digest.get())));
    hash_into(context.get(), digest.get(), {}, bytes, sum.span());
    return sum;
}

bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace vm2oci::luks
