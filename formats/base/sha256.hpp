// SHA-256 as a stream (OpenSSL, which uses the processor's own instructions).
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace vm2oci {

using Sha256Sum = std::array<std::byte, 32>;

class Sha256 {
  public:
    Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    ~Sha256();

    void update(std::span<const std::byte> bytes);
    // Ends the computation; the object must not be used afterwards.
    Sha256Sum finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

Sha256Sum sha256(std::span<const std::byte> bytes);

// 32 bytes as the sum that they are.
Sha256Sum as_sha256_sum(std::span<const std::byte> bytes);

// 64 lower-case hexadecimal digits.
std::string to_hex(std::span<const std::byte> bytes);

} // namespace vm2oci
