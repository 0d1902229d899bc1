// Inside of the room: sectors, each encrypted by itself with its number, as dm-crypt has them.
#pragma once

#include "formats/base/lending_pool.hpp"
#include "formats/luks/key.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;

namespace vm2oci::luks {

inline constexpr std::uint64_t kSector = 512;

struct CipherContextDeleter {
    void operator()(EVP_CIPHER_CTX* context) const;
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, CipherContextDeleter>;

// AES in XTS or CBC; the number of a sector as it is (plain, plain64), or encrypted with the key's hash (essiv:HASH).
class SectorCipher {
  public:
    // "aes-xts-plain64", "aes-cbc-essiv:sha256"; Error{unsupported} by name for what OpenSSL or this has not.
    // `sector`: bytes of one, a multiple of kSector; sectors count in kSector all the same.
    SectorCipher(const std::string& specification, std::span<const std::byte> key, std::uint64_t sector);
    ~SectorCipher();

    // Whole sectors, the first of which has this number. Both are thread-safe.
    void decrypt(std::span<std::byte> bytes, std::uint64_t number) const;
    void encrypt(std::span<std::byte> bytes, std::uint64_t number) const;

  private:
    enum class Numbering { plain, plain64, essiv };
    enum class Direction : int { decrypt = 0, encrypt = 1 }; // as EVP_CipherInit_ex() has them

    struct Contexts {
        CipherContext sectors;
        CipherContext numbers; // null without essiv
    };
    Contexts make_contexts(Direction direction) const;
    CipherContext make_essiv() const;
    void process(LendingPool<Contexts>& contexts, std::span<std::byte> bytes, std::uint64_t number) const;

    const EVP_CIPHER* cipher_ = nullptr;
    SecretBytes key_;
    SecretBytes essiv_key_;
    Numbering numbering_ = Numbering::plain64;
    std::uint64_t sector_;
    mutable LendingPool<Contexts> decrypting_;
    mutable LendingPool<Contexts> encrypting_;
};

} // namespace vm2oci::luks
