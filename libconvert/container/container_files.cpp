#include "libconvert/container/container_files.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/oci/bundle.hpp"
#include "libconvert/source/content_verifier.hpp"
#include "libconvert/source/image_content.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

class ContentOfLayer final : public FileContent {
  public:
    ContentOfLayer(const LayerContent& layer, const ContainerContent& place, const OperationContext& operation)
        : layer_(layer), place_(place), operation_(operation) {}

    void copy_to(ByteSink& out) const override {
        if (!place_.extents)
            return copy(place_.offset, place_.size, out);
        std::uint64_t at = 0;
        std::uint64_t stored = place_.offset;
        for (const TarExtent& extent : *place_.extents) {
            write_zeros(extent.offset - at, out);
            copy(stored, extent.length, out);
            stored += extent.length;
            at = extent.offset + extent.length;
        }
        write_zeros(place_.size - at, out);
    }
    std::optional<std::vector<DataRange>> data_ranges() const override {
        if (!place_.extents)
            return std::vector<DataRange>{{0, place_.size}};
        std::vector<DataRange> ranges;
        for (const TarExtent& extent : *place_.extents)
            if (extent.length != 0)
                ranges.push_back({extent.offset, extent.length});
        return ranges;
    }
    void copy_range_to(const DataRange& range, ByteSink& out) const override {
        if (!place_.extents)
            return copy(place_.offset + range.offset, range.length, out);
        std::uint64_t stored = place_.offset;
        for (const TarExtent& extent : *place_.extents) {
            const std::uint64_t begin = std::max(extent.offset, range.offset);
            const std::uint64_t end = std::min(extent.offset + extent.length, range.offset + range.length);
            if (begin < end)
                copy(stored + (begin - extent.offset), end - begin, out);
            stored += extent.length;
        }
    }

  private:
    static constexpr std::size_t kPiece = 256 * KiB;

    void copy(std::uint64_t offset, std::uint64_t length, ByteSink& out) const {
        std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(length, kPiece)));
        while (length != 0) {
            operation_.check_cancelled();
            const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(length, buffer.size()));
            const auto piece = std::span(buffer).first(step);
            if (layer_.read_some_at(offset, piece) != step)
                fail(ErrorKind::corrupt, "a layer of the image ends in the middle of a file");
            out.write(piece);
            offset += step;
            length -= step;
        }
    }
    static void write_zeros(std::uint64_t length, ByteSink& out) {
        const std::array<std::byte, 16 * KiB> zeros{};
        while (length != 0) {
            const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(length, zeros.size()));
            out.write(std::span(zeros).first(step));
            length -= step;
        }
    }

    const LayerContent& layer_;
    const ContainerContent& place_;
    const OperationContext& operation_;
};

struct TextSink final : ByteSink {
    void write(std::span<const std::byte> bytes) override { text += as_text(bytes); }
    std::string text;
};

// Reading the next header tells of every other member.
void check_last_member(const LayerContent& layer, const TarMember& last) {
    std::byte end{};
    if (last.stored_size() != 0 && layer.read_some_at(last.content_offset + last.stored_size() - 1, {&end, 1}) == 0)
        fail(ErrorKind::corrupt, fmt::format("it ends in the middle of {}", quote_untrusted(last.path)));
}

} // namespace

bool is_container_image(ImageSource& source, const ImageContent& image, const OperationContext& operation) {
    if (!image.config || parse_bundle(image.parsed_manifest.annotations))
        return false;
    const ImageFiles files(source, image, operation);
    const auto disks = files.view().children("disk");
    return disks.size() != 1 || disks.front().second->type != TarType::regular;
}

ContainerFiles::ContainerFiles(ImageSource& source, const ImageContent& image, const OperationContext& operation)
    : operation_(operation) {
    for (const Descriptor& layer : image.parsed_manifest.layers)
        with_context("layer " + layer.digest.text(),
                     [&] { read_layer(image.verifier->open(source, layer, operation)); });
}

void ContainerFiles::add_layer(std::shared_ptr<const BlockDevice> tar) {
    read_layer(open_layer_content(std::move(tar), operation_));
}

void ContainerFiles::read_layer(std::shared_ptr<const LayerContent> layer) {
    operation_.check_cancelled();
    layers_.push_back(std::move(layer));
    tree_.begin_layer();
    TarReader reader(*layers_.back());
    std::optional<TarMember> last;
    while (true) {
        std::optional<TarMember> member = reader.next();
        if (!member)
            break;
        operation_.check_cancelled();
        tree_.add(*member);
        last = std::move(member);
    }
    if (last)
        check_last_member(*layers_.back(), *last);
}

void ContainerFiles::read_at(const ContainerContent& content, std::uint64_t offset, std::span<std::byte> buffer) const {
    if (offset > content.size || buffer.size() > content.size - offset)
        fail(ErrorKind::corrupt, "a file of the image is read beyond its end");
    open_member(layers_.at(content.layer), content.offset, content.size, content.extents.get())
        ->read_at(offset, buffer);
}

std::optional<std::string> ContainerFiles::read_file(std::string_view path, std::size_t limit) const {
    const std::optional<ContainerFile> file = tree_.find(path);
    if (!file || !file->content)
        return std::nullopt;
    if (file->status.size > limit)
        fail(ErrorKind::limit, fmt::format("{} of the image has {} bytes, and at most {} are read",
                                           quote_untrusted(path), file->status.size, limit));
    TextSink sink;
    ContentOfLayer(*layers_.at(file->content->layer), *file->content, operation_).copy_to(sink);
    return std::move(sink.text);
}

void ContainerFiles::export_tree(TreeSink& sink) const {
    tree_.for_each([&](const Entry& entry, const std::optional<ContainerContent>& content) {
        operation_.check_cancelled();
        if (!content)
            return sink.add(entry, nullptr);
        const ContentOfLayer bytes(*layers_.at(content->layer), *content, operation_);
        sink.add(entry, &bytes);
    });
}

} // namespace vm2oci
