#include "runner/qemu/picture.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"

#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace vm2oci {
namespace {

constexpr std::uint32_t kMaxSide = 8192; // QEMU's standard VGA ends at 2560 by 1600

struct Ppm {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
    std::span<const std::byte> pixels;
};

// The next number of the header, which white space ends.
std::optional<std::uint32_t> take_number(std::string_view& text) {
    while (!text.empty() && (text[0] == ' ' || text[0] == '\n'))
        text.remove_prefix(1);
    std::uint32_t value = 0;
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && value <= kMaxSide)
        value = value * 10 + static_cast<std::uint32_t>(text[digits++] - '0');
    if (digits == 0 || digits == text.size() || value > kMaxSide)
        return std::nullopt;
    text.remove_prefix(digits);
    return value;
}

std::optional<Ppm> parse(std::span<const std::byte> bytes) {
    std::string_view text = as_text(bytes);
    if (!text.starts_with("P6"))
        return std::nullopt;
    text.remove_prefix(2);
    const auto width = take_number(text);
    const auto height = width ? take_number(text) : std::nullopt;
    const auto maximum = height ? take_number(text) : std::nullopt;
    if (!maximum || *maximum != 255 || *width == 0 || *height == 0)
        return std::nullopt;
    text.remove_prefix(1);
    const std::size_t size = std::size_t{*width} * *height * 3;
    if (text.size() < size)
        return std::nullopt;
    return Ppm{*width, *height, bytes.subspan(bytes.size() - text.size(), size)};
}

template <class T>
void append(std::vector<std::byte>& out, T value) {
    const std::size_t at = out.size();
    out.resize(at + sizeof value);
    store_be(out.data() + at, value);
}

void append_chunk(std::vector<std::byte>& out, std::string_view type, std::span<const std::byte> data) {
    append(out, static_cast<std::uint32_t>(data.size()));
    const std::size_t begin = out.size();
    const auto name = as_bytes(type);
    out.insert(out.end(), name.begin(), name.end());
    out.insert(out.end(), data.begin(), data.end());
    const uLong checksum =
        ::crc32(0, reinterpret_cast<const Bytef*>(out.data() + begin), static_cast<uInt>(out.size() - begin));
    append(out, static_cast<std::uint32_t>(checksum));
}

std::vector<std::byte> deflated_rows(const Ppm& picture) {
    const std::size_t row = std::size_t{picture.width} * 3;
    std::vector<std::byte> raw;
    raw.reserve((row + 1) * picture.height);
    for (std::uint32_t y = 0; y < picture.height; ++y) {
        raw.push_back(std::byte{0}); // no filter
        const auto pixels = picture.pixels.subspan(y * row, row);
        raw.insert(raw.end(), pixels.begin(), pixels.end());
    }
    uLongf size = ::compressBound(static_cast<uLong>(raw.size()));
    std::vector<std::byte> compressed(size);
    if (::compress2(reinterpret_cast<Bytef*>(compressed.data()), &size, reinterpret_cast<const Bytef*>(raw.data()),
                    static_cast<uLong>(raw.size()), 6) != Z_OK)
        return {};
    compressed.resize(size);
    return compressed;
}

} // namespace

std::vector<std::byte> png_from_ppm(std::span<const std::byte> ppm) {
    const auto picture = parse(ppm);
    if (!picture)
        return {};
    std::vector<std::byte> out;
    const auto signature = as_bytes("\x89PNG\r\n\x1a\n");
    out.insert(out.end(), signature.begin(), signature.end());
    std::vector<std::byte> header;
    append(header, picture->width);
    append(header, picture->height);
    for (const int value : {8, 2, 0, 0, 0}) // 8 bits, RGB, deflate, filters, not interlaced
        header.push_back(static_cast<std::byte>(value));
    append_chunk(out, "IHDR", header);
    append_chunk(out, "IDAT", deflated_rows(*picture));
    append_chunk(out, "IEND", {});
    return out;
}

} // namespace vm2oci
