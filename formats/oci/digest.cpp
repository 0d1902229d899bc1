#include "formats/oci/digest.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"

#include <algorithm>

namespace vm2oci {

Digest Digest::parse(std::string_view text) {
    constexpr std::string_view prefix = "sha256:";
    if (!text.starts_with(prefix)) {
        const bool other_algorithm = text.starts_with("sha512:") || text.starts_with("sha384:");
        fail(other_algorithm ? ErrorKind::unsupported : ErrorKind::corrupt,
             quote_untrusted(text) + " is not a sha256 digest");
    }
    const std::string_view hex = text.substr(prefix.size());
    const bool is_hex =
        std::ranges::all_of(hex, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (hex.size() != 64 || !is_hex)
        fail(ErrorKind::corrupt,
             quote_untrusted(text) + " is not a digest: sha256 has 64 lower-case hexadecimal digits");
    Digest digest;
    digest.hex_ = hex;
    return digest;
}

Digest Digest::of(std::string_view bytes) {
    return Digest(sha256(as_bytes(bytes)));
}

} // namespace vm2oci
