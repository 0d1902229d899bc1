#include "formats/block/vhdx/guid.hpp"

#include "formats/base/error.hpp"
#include "formats/base/sha256.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace vm2oci::vhdx {
namespace {

constexpr std::array<std::size_t, 16> kTextOrder = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
constexpr std::array<std::size_t, 4> kDashes = {8, 13, 18, 23};

} // namespace

Guid load_guid(const std::byte* at) {
    Guid guid;
    std::copy_n(at, guid.size(), guid.begin());
    return guid;
}

std::string to_string(const Guid& guid) {
    Guid ordered;
    for (std::size_t i = 0; i < guid.size(); ++i)
        ordered[i] = guid[kTextOrder[i]];
    std::string text = to_hex(ordered);
    for (const std::size_t dash : kDashes)
        text.insert(dash, "-");
    return text;
}

Guid make_guid(std::string_view text) {
    std::string digits(text);
    std::erase(digits, '-');
    if (digits.size() != 32)
        fail(ErrorKind::usage, "not a GUID: " + std::string(text));
    Guid guid;
    for (std::size_t i = 0; i < guid.size(); ++i) {
        std::uint8_t value = 0;
        const char* begin = digits.data() + 2 * i;
        if (std::from_chars(begin, begin + 2, value, 16).ptr != begin + 2)
            fail(ErrorKind::usage, "not a GUID: " + std::string(text));
        guid[kTextOrder[i]] = std::byte{value};
    }
    return guid;
}

} // namespace vm2oci::vhdx
