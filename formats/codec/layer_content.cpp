#include "formats/codec/layer_content.hpp"

#include "formats/base/error.hpp"
#include "formats/codec/seekable_content.hpp"
#include "formats/codec/spooled_content.hpp"

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

class PlainContent final : public LayerContent {
  public:
    explicit PlainContent(std::shared_ptr<const BlockDevice> layer) : layer_(std::move(layer)) {}

    std::uint64_t size() const override { return layer_->size(); }
    bool reads_anywhere() const override { return true; }
    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        if (offset >= layer_->size())
            return 0;
        const std::uint64_t length = std::min<std::uint64_t>(buffer.size(), layer_->size() - offset);
        layer_->read_at(offset, buffer.first(length));
        return length;
    }

  private:
    std::shared_ptr<const BlockDevice> layer_;
};

class ContentRange final : public BlockDevice {
  public:
    ContentRange(std::shared_ptr<const LayerContent> content, std::uint64_t offset, std::uint64_t length)
        : content_(std::move(content)), offset_(offset), length_(length) {
        if (length > ~offset)
            fail(ErrorKind::corrupt, "a member of the layer reaches beyond every possible end");
    }

    std::uint64_t size() const override { return length_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        if (content_->read_some_at(offset_ + offset, buffer) != buffer.size())
            fail(ErrorKind::corrupt, "the layer ends before the file that it holds");
    }
    Extent extent_at(std::uint64_t offset) const override {
        check_range(*this, offset, 1);
        return {length_ - offset, ExtentKind::data};
    }

  private:
    std::shared_ptr<const LayerContent> content_;
    std::uint64_t offset_;
    std::uint64_t length_;
};

} // namespace

std::shared_ptr<const LayerContent> open_layer_content(std::shared_ptr<const BlockDevice> layer,
                                                       const OperationContext& operation, DecodeLimits limits,
                                                       std::vector<FrameProof> proofs) {
    std::array<std::byte, 4> beginning{};
    const std::size_t length = static_cast<std::size_t>(std::min<std::uint64_t>(layer->size(), beginning.size()));
    layer->read_at(0, std::span(beginning).first(length));
    const Compression compression = detect_compression(std::span(beginning).first(length)).value_or(Compression::none);
    if (compression == Compression::none)
        return std::make_shared<PlainContent>(std::move(layer));
    if (compression == Compression::zstd)
        if (std::shared_ptr<const LayerContent> content = open_seekable_content(layer, limits, std::move(proofs)))
            return content;
    return std::make_shared<SpooledContent>(std::move(layer), operation, limits);
}

std::shared_ptr<const BlockDevice> content_range(std::shared_ptr<const LayerContent> content, std::uint64_t offset,
                                                 std::uint64_t length) {
    return std::make_shared<ContentRange>(std::move(content), offset, length);
}

} // namespace vm2oci
