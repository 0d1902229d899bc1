// Content digests as OCI writes them: "sha256:" and 64 lower-case hexadecimal digits (image-spec, descriptor.md).
#pragma once

#include "formats/base/sha256.hpp"

#include <compare>
#include <string>
#include <string_view>

namespace vm2oci {

class Digest {
  public:
    Digest() = default; // the empty digest; text() is ""
    explicit Digest(const Sha256Sum& sum) : hex_(to_hex(sum)) {}
    // Accepts sha256 only. Error{corrupt} otherwise.
    static Digest parse(std::string_view text);
    static Digest of(std::string_view bytes);

    std::string text() const { return hex_.empty() ? std::string() : "sha256:" + hex_; }
    const std::string& hex() const { return hex_; }
    bool empty() const { return hex_.empty(); }
    auto operator<=>(const Digest&) const = default;

  private:
    std::string hex_;
};

} // namespace vm2oci
