#include "formats/base/base64.hpp"

#include "formats/base/error.hpp"

#include <openssl/evp.h>

#include <limits>

namespace vm2oci {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// OpenSSL counts in ints.
int checked_length(std::size_t length) {
    if (length > std::size_t{std::numeric_limits<int>::max() / 2})
        fail(ErrorKind::limit, "a text in base64 is longer than any that is read or written here");
    return static_cast<int>(length);
}

const unsigned char* as_unsigned(const std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

} // namespace

std::optional<std::string> decode_base64(std::string_view text) {
    while (text.ends_with('='))
        text.remove_suffix(1);
    // OpenSSL's decoder passes over blanks and takes a lone letter.
    if (text.find_first_not_of(kAlphabet) != std::string_view::npos || text.size() % 4 == 1)
        return std::nullopt;
    std::string padded(text);
    const std::size_t padding = (4 - padded.size() % 4) % 4;
    padded.append(padding, '=');
    std::string bytes(padded.size() / 4 * 3, '\0');
    const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), as_unsigned(padded),
                                       checked_length(padded.size()));
    if (length < 0)
        return std::nullopt;
    bytes.resize(static_cast<std::size_t>(length) - padding);
    return bytes;
}

std::optional<std::string> decode_base64_lenient(std::string_view text) {
    std::string kept;
    for (const char c : text)
        if (kAlphabet.find(c) != std::string_view::npos)
            kept += c;
    return decode_base64(kept);
}

std::string encode_base64(std::string_view bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0'); // it ends with a NUL
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), as_unsigned(bytes),
                                       checked_length(bytes.size()));
    text.resize(static_cast<std::size_t>(length));
    return text;
}

} // namespace vm2oci
