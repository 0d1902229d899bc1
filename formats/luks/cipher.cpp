#include "formats/luks/cipher.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace vm2oci::luks {
namespace {

constexpr std::size_t kBlock = 16; // of AES

[[noreturn]] void refuse_cipher(const std::string& specification, std::size_t key_size) {
    fail(ErrorKind::unsupported, fmt::format("it is encrypted with {} and a key of {} bits, which is not read here",
                                             quote_untrusted(specification), key_size * 8));
}

const EVP_CIPHER* find_xts(std::size_t key_size) {
    return key_size == 32 ? EVP_aes_128_xts() : key_size == 64 ? EVP_aes_256_xts() : nullptr;
}

const EVP_CIPHER* find_cbc(std::size_t key_size) {
    return key_size == 16   ? EVP_aes_128_cbc()
           : key_size == 24 ? EVP_aes_192_cbc()
           : key_size == 32 ? EVP_aes_256_cbc()
                            : nullptr;
}

const EVP_CIPHER* find_ecb(std::size_t key_size) {
    return key_size == 16   ? EVP_aes_128_ecb()
           : key_size == 24 ? EVP_aes_192_ecb()
           : key_size == 32 ? EVP_aes_256_ecb()
                            : nullptr;
}

SecretBytes copy_of(std::span<const std::byte> bytes) {
    SecretBytes copy(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.span().begin());
    return copy;
}

const unsigned char* unsigned_chars(std::span<const std::byte> bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

} // namespace

void CipherContextDeleter::operator()(EVP_CIPHER_CTX* context) const {
    EVP_CIPHER_CTX_free(context);
}

SectorCipher::SectorCipher(const std::string& specification, std::span<const std::byte> key, std::uint64_t sector)
    : key_(copy_of(key)), sector_(sector), decrypting_([this] { return make_contexts(Direction::decrypt); }),
      encrypting_([this] { return make_contexts(Direction::encrypt); }) {
    constexpr std::string_view kEssiv = "essiv:";
    const std::size_t first = specification.find('-');
    const std::size_t second = first == std::string::npos ? first : specification.find('-', first + 1);
    if (second == std::string::npos || specification.substr(0, first) != "aes")
        refuse_cipher(specification, key.size());
    const std::string mode = specification.substr(first + 1, second - first - 1);
    const std::string numbering = specification.substr(second + 1);
    cipher_ = mode == "xts" ? find_xts(key.size()) : mode == "cbc" ? find_cbc(key.size()) : nullptr;
    if (cipher_ == nullptr)
        refuse_cipher(specification, key.size());
    if (numbering == "plain64") {
        numbering_ = Numbering::plain64;
    } else if (numbering == "plain") {
        numbering_ = Numbering::plain;
    } else if (numbering.starts_with(kEssiv) && mode == "cbc") {
        numbering_ = Numbering::essiv;
        essiv_key_ = hash_of(numbering.substr(kEssiv.size()), key);
        if (find_ecb(essiv_key_.size()) == nullptr)
            refuse_cipher(specification, key.size());
    } else {
        refuse_cipher(specification, key.size());
    }
}

SectorCipher::~SectorCipher() = default;

SectorCipher::Contexts SectorCipher::make_contexts(Direction direction) const {
    CipherContext context(EVP_CIPHER_CTX_new());
    if (!context ||
        EVP_CipherInit_ex(context.get(), cipher_, nullptr, unsigned_chars(key_.span()), nullptr,
                          static_cast<int>(direction)) != 1 ||
        EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1)
        fail(ErrorKind::external, "OpenSSL takes no such key");
    return {std::move(context), make_essiv()};
}

CipherContext SectorCipher::make_essiv() const {
    if (numbering_ != Numbering::essiv)
        return nullptr;
    CipherContext context(EVP_CIPHER_CTX_new());
    if (!context ||
        EVP_EncryptInit_ex(context.get(), find_ecb(essiv_key_.size()), nullptr, unsigned_chars(essiv_key_.span()),
                           nullptr) != 1 ||
        EVP_CIPHER_CTX_set_padding(context.get(), 0) != 1)
        fail(ErrorKind::external, "OpenSSL cannot encrypt");
    return context;
}

void SectorCipher::decrypt(std::span<std::byte> bytes, std::uint64_t number) const {
    process(decrypting_, bytes, number);
}

void SectorCipher::encrypt(std::span<std::byte> bytes, std::uint64_t number) const {
    process(encrypting_, bytes, number);
}

void SectorCipher::process(LendingPool<Contexts>& contexts, std::span<std::byte> bytes, std::uint64_t number) const {
    constexpr int kSameDirection = -1;
    auto lease = contexts.lease();
    for (; !bytes.empty(); bytes = bytes.subspan(sector_), number += sector_ / kSector) {
        std::array<std::byte, kBlock> start{};
        store_le<std::uint64_t>(start.data(), numbering_ == Numbering::plain ? number & 0xffffffffU : number);
        auto* begin = reinterpret_cast<unsigned char*>(start.data());
        int length = 0;
        if (lease->numbers && EVP_EncryptUpdate(lease->numbers.get(), begin, &length, begin, kBlock) != 1)
            fail(ErrorKind::external, "OpenSSL cannot encrypt the number of a sector");
        auto* data = reinterpret_cast<unsigned char*>(bytes.data());
        if (EVP_CipherInit_ex(lease->sectors.get(), nullptr, nullptr, nullptr, begin, kSameDirection) != 1 ||
            EVP_CipherUpdate(lease->sectors.get(), data, &length, data, static_cast<int>(sector_)) != 1 ||
            length != static_cast<int>(sector_))
            fail(ErrorKind::external, "OpenSSL cannot decrypt or encrypt a sector");
    }
}

} // namespace vm2oci::luks
