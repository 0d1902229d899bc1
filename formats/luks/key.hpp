// Inside of the room: from a passphrase to a key, and bytes that are wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vm2oci::luks {

// Bytes that nobody finds in memory afterwards.
class SecretBytes {
  public:
    explicit SecretBytes(std::size_t size = 0) : bytes_(size) {}
    SecretBytes(const SecretBytes&) = delete;
    SecretBytes& operator=(const SecretBytes&) = delete;
    SecretBytes(SecretBytes&& other) noexcept : bytes_(std::move(other.bytes_)) {}
    SecretBytes& operator=(SecretBytes&& other) noexcept;
    ~SecretBytes() { wipe(); }

    std::size_t size() const { return bytes_.size(); }
    std::span<std::byte> span() { return bytes_; }
    std::span<const std::byte> span() const { return bytes_; }

  private:
    void wipe() noexcept;

    std::vector<std::byte> bytes_; // never grows
};

inline constexpr std::uint32_t kMaxArgonKibibytes = 1024U * 1024; // cryptsetup takes no more unless it is told to

// What may still be spent on keys of one volume. Error{limit} when it is used up.
struct Budget {
    std::uint64_t rounds = 500'000'000;                    // of PBKDF2: some minutes
    std::uint64_t argon_bytes = std::uint64_t{512} << 30U; // written by argon2: some minutes
    std::uint32_t argon_kibibytes = kMaxArgonKibibytes;    // at once

    void take_rounds(std::uint64_t wanted);
    void take_argon(std::uint32_t passes, std::uint32_t kibibytes);
};

enum class KdfKind { pbkdf2, argon2i, argon2id };

struct Kdf {
    KdfKind kind = KdfKind::pbkdf2;
    std::string hash;             // of pbkdf2
    std::uint32_t iterations = 0; // of pbkdf2
    std::uint32_t passes = 0;     // of argon2; "time"
    std::uint32_t kibibytes = 0;  // of argon2; "memory"
    std::uint32_t lanes = 0;      // of argon2; "cpus"
    std::vector<std::byte> salt;
};

// Error{unsupported}: a hash that OpenSSL has not; Error{corrupt}: parameters that nothing takes; Error{limit}.
SecretBytes derive_key(const Kdf& kdf, std::span<const std::byte> secret, std::size_t size, Budget& budget);

// Error{unsupported} by name.
void check_hash(const std::string& name);

// The key whose bytes are spread over `stripes` pieces of equal size, one behind the other (LUKS1 specification,
// AFmerge).
SecretBytes merge_stripes(std::span<const std::byte> material, std::size_t key_size, const std::string& hash);

// hash(bytes), as a key.
SecretBytes hash_of(const std::string& hash, std::span<const std::byte> bytes);

bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b);

} // namespace vm2oci::luks
