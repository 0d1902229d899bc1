// Stored layers: the way through the seek table and the way from the beginning never show different contents.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/codec/layer_content.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace {

using namespace vm2oci;

constexpr std::uint64_t kMaxContent = 4 * MiB; // so that a bomb ends soon

class BytesDevice final : public BlockDevice {
  public:
    explicit BytesDevice(std::string_view bytes) : bytes_(bytes) {}
    std::uint64_t size() const override { return bytes_.size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        std::ranges::copy(as_bytes(bytes_).subspan(offset, buffer.size()), buffer.begin());
    }
    Extent extent_at(std::uint64_t offset) const override { return {bytes_.size() - offset, ExtentKind::data}; }

  private:
    std::string_view bytes_;
};

class StringSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override { text += as_text(bytes); }
    std::string text;
};

std::optional<std::string> decode(std::string_view stored, std::size_t step) {
    try {
        StringSink sink;
        LayerDecoder decoder(sink, {.max_content = kMaxContent});
        for (std::size_t at = 0; at < stored.size(); at += step)
            decoder.write(as_bytes(stored.substr(at, step)));
        decoder.finish();
        return sink.text;
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::optional<std::string> read_all(std::string_view stored) {
    try {
        const auto content =
            open_layer_content(std::make_shared<BytesDevice>(stored), {}, {.max_content = kMaxContent});
        const std::uint64_t size = content->size();
        std::string text(size, '\0');
        const std::span<std::byte> bytes = std::as_writable_bytes(std::span(text));
        // In two pieces, and the later one first.
        const std::size_t middle = size / 2;
        if (content->read_some_at(middle, bytes.subspan(middle)) != size - middle ||
            content->read_some_at(0, bytes.first(middle)) != middle)
            std::abort();
        return text;
    } catch (const Error&) {
        return std::nullopt;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view stored(reinterpret_cast<const char*>(data), size);
    const std::optional<std::string> whole = decode(stored, std::max<std::size_t>(size, 1));
    const std::optional<std::string> pieces = decode(stored, 7);
    if (whole != pieces)
        std::abort();
    const std::optional<std::string> random = read_all(stored);
    if (random && random != whole)
        std::abort();
    return 0;
}
