#include "formats/tree/tar_sparse.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "formats/tree/tar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace vm2oci {
namespace {

using Records = std::map<std::string, std::string>;

constexpr std::uint64_t kMaxSparseContent = std::uint64_t{1} << 62;
constexpr std::size_t kExtentField = 12; // GNU's form: offset and length, each so long
constexpr std::size_t kExtentsInHeader = 4;
constexpr std::size_t kExtentsInBlock = 21;
constexpr std::size_t kHeaderMapAt = 386;
constexpr std::size_t kHeaderMoreAt = 482;
constexpr std::size_t kHeaderSizeAt = 483;
constexpr std::size_t kBlockMoreAt = 504;

[[noreturn]] void fail_map(const std::string& why) {
    fail(ErrorKind::corrupt, "the map of a sparse member " + why);
}

std::uint64_t parse_decimal(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        fail_map("holds what is no number");
    return value;
}

std::string value_of(const Records& records, const char* key) {
    const auto found = records.find(key);
    return found == records.end() ? std::string() : found->second;
}

void append(std::vector<TarExtent>& extents, TarExtent extent) {
    if (extents.size() == kMaxTarExtents)
        fail(ErrorKind::limit, fmt::format("a sparse member has more than {} pieces", kMaxTarExtents));
    extents.push_back(extent);
}

// "OFFSET,LENGTH,OFFSET,LENGTH…", of versions 0.0 (gathered from single records) and 0.1.
std::vector<TarExtent> parse_list(std::string_view list, std::string_view count) {
    std::vector<TarExtent> extents;
    while (!list.empty()) {
        std::array<std::uint64_t, 2> numbers{};
        for (std::uint64_t& number : numbers) {
            const std::string_view part = list.substr(0, list.find(','));
            number = parse_decimal(part);
            list.remove_prefix(std::min(part.size() + 1, list.size()));
        }
        append(extents, {numbers[0], numbers[1]});
    }
    if (parse_decimal(count) != extents.size())
        fail_map("has another number of pieces than it says");
    return extents;
}

// Reads the lines that version 1.0 keeps in front of the content, each a number.
class MapLines {
  public:
    MapLines(const ByteSource& archive, std::uint64_t position, std::uint64_t stored)
        : archive_(archive), position_(position), left_(stored) {}

    std::uint64_t next() {
        std::string line;
        for (;;) {
            if (at_ == block_.size())
                read_block();
            const char c = static_cast<char>(block_[at_++]);
            if (c == '\n')
                return parse_decimal(line);
            constexpr std::size_t longest_number = 20;
            if (line.size() == longest_number)
                fail_map("holds what is no number");
            line += c;
        }
    }
    std::uint64_t bytes_read() const { return read_; }

  private:
    void read_block() {
        if (left_ < block_.size() || archive_.read_some_at(position_ + read_, block_) != block_.size())
            fail_map("is cut off");
        left_ -= block_.size();
        read_ += block_.size();
        at_ = 0;
    }

    const ByteSource& archive_;
    std::uint64_t position_;
    std::uint64_t left_;
    std::uint64_t read_ = 0;
    std::array<std::byte, kTarBlock> block_{};
    std::size_t at_ = kTarBlock;
};

std::string_view field_of(std::span<const std::byte> block, std::size_t offset, std::size_t size) {
    return as_text(block).substr(offset, size);
}

} // namespace

std::uint64_t stored_bytes(const std::vector<TarExtent>& extents) {
    std::uint64_t bytes = 0;
    for (const TarExtent& extent : extents)
        bytes += extent.length;
    return bytes;
}

std::optional<SparseLayout> read_pax_sparse(const Records& records, const ByteSource& archive, std::uint64_t position,
                                            std::uint64_t stored) {
    const bool is_any = std::ranges::any_of(
        records, [](const auto& record) { return record.first.starts_with("GNU.sparse.") && !record.second.empty(); });
    if (!is_any)
        return std::nullopt;
    const std::string major = value_of(records, "GNU.sparse.major");
    const std::string minor = value_of(records, "GNU.sparse.minor");
    const std::string list = value_of(records, "GNU.sparse.map");
    const bool is_first = major == "1" && minor == "0";
    const bool is_zeroth =
        (major == "0" && (minor == "0" || minor == "1")) || (major.empty() && minor.empty() && !list.empty());
    if (!is_first && !is_zeroth)
        fail(ErrorKind::unsupported, "a sparse member of a form that does not exist, which readers take differently");

    SparseLayout layout;
    std::string size = value_of(records, "GNU.sparse.size");
    if (size.empty())
        size = value_of(records, "GNU.sparse.realsize");
    if (size.empty())
        fail_map("does not say how long the content is");
    layout.size = parse_decimal(size);
    if (is_zeroth) {
        layout.extents = parse_list(list, value_of(records, "GNU.sparse.numblocks"));
    } else {
        MapLines lines(archive, position, stored);
        for (std::uint64_t left = lines.next(); left > 0; --left) {
            const std::uint64_t offset = lines.next();
            append(layout.extents, {offset, lines.next()});
        }
        layout.map_bytes = lines.bytes_read();
    }
    return layout;
}

SparseLayout read_gnu_sparse(std::span<const std::byte> header, const ByteSource& archive, std::uint64_t position,
                             const std::function<std::uint64_t(std::string_view)>& number) {
    SparseLayout layout;
    layout.size = number(field_of(header, kHeaderSizeAt, kExtentField));
    // False: the map ends within these.
    const auto take = [&](std::span<const std::byte> block, std::size_t from, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t at = from + i * 2 * kExtentField;
            if (block[at] == std::byte{0})
                return false;
            append(layout.extents, {number(field_of(block, at, kExtentField)),
                                    number(field_of(block, at + kExtentField, kExtentField))});
        }
        return true;
    };
    bool goes_on = take(header, kHeaderMapAt, kExtentsInHeader);
    std::array<std::byte, kTarBlock> block{};
    for (bool is_more = header[kHeaderMoreAt] != std::byte{0}; is_more; is_more = block[kBlockMoreAt] != std::byte{0}) {
        if (!goes_on && layout.map_bytes != 0)
            fail_map("goes on behind its end");
        if (archive.read_some_at(position + layout.map_bytes, block) != block.size())
            fail_map("is cut off");
        layout.map_bytes += block.size();
        goes_on = take(block, 0, kExtentsInBlock);
    }
    return layout;
}

void check_sparse_layout(const SparseLayout& layout, std::uint64_t stored) {
    if (layout.size > kMaxSparseContent)
        fail_map("says that the content is larger than any");
    std::uint64_t end = 0;
    std::uint64_t total = 0;
    for (const TarExtent& extent : layout.extents) {
        if (extent.offset < end || extent.offset > layout.size || extent.length > layout.size - extent.offset)
            fail_map("has pieces that overlap, or lie outside of the content");
        end = extent.offset + extent.length;
        total += extent.length;
    }
    if (total != stored)
        fail_map(fmt::format("has pieces of {} bytes in all where {} are stored", total, stored));
}

} // namespace vm2oci
