// Keyed fingerprints: whoever does not know the key cannot find two contents with one fingerprint, and a fingerprint
// costs a quarter of a SHA-256 (GMAC by OpenSSL: GHASH is a universal hash, two contents meet with a chance of 2^-112
// for a MiB).
//
// That holds as long as nobody who chooses contents sees fingerprints: they stay with whoever made them.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace vm2oci {

using Fingerprint = std::array<std::byte, 16>;
using FingerprintKey = std::array<std::byte, 16>;

FingerprintKey random_fingerprint_key(); // Error{external} if the system has no randomness

// Not thread-safe: one for each thread.
class Fingerprinter {
  public:
    explicit Fingerprinter(const FingerprintKey& key);
    Fingerprinter(Fingerprinter&&) noexcept;
    Fingerprinter& operator=(Fingerprinter&&) noexcept;
    ~Fingerprinter();

    Fingerprint operator()(std::span<const std::byte> content);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace vm2oci
