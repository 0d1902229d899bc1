#include "runner/qemu/picture.hpp"

#include "formats/base/fd.hpp"

#include <png.h>

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

} // namespace

std::vector<std::byte> png_from_ppm(std::span<const std::byte> ppm) {
    const auto picture = parse(ppm);
    if (!picture)
        return {};
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = picture->width;
    image.height = picture->height;
    image.format = PNG_FORMAT_RGB;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    std::vector<std::byte> png(size);
    if (png_image_write_to_memory(&image, png.data(), &size, 0, picture->pixels.data(), 0, nullptr) == 0)
        return {};
    png.resize(size);
    return png;
}

} // namespace vm2oci
