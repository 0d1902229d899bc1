// The hash functions that other people's manifests use (OpenSSL). What is ours is SHA-256: formats/base/sha256.hpp.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class HashAlgorithm { sha1, sha256, sha384, sha512 };
std::string_view to_string(HashAlgorithm algorithm); // "SHA1", "SHA256", …
std::size_t digest_size(HashAlgorithm algorithm);    // bytes

class MessageDigest {
  public:
    explicit MessageDigest(HashAlgorithm algorithm);
    MessageDigest(MessageDigest&&) noexcept;
    MessageDigest& operator=(MessageDigest&&) noexcept;
    ~MessageDigest();

    void update(std::span<const std::byte> bytes);
    // Ends the computation; the object must not be used afterwards.
    std::vector<std::byte> finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace vm2oci
