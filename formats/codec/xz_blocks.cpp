#include "formats/codec/xz_blocks.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/codec/sparse_scratch.hpp"

#include <fmt/format.h>
#include <lzma.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::size_t kBlockStep = 256 * KiB;
constexpr std::uint64_t kMaxIndexMemory = 64 * MiB;  // four million blocks
constexpr std::uint64_t kMaxBlockMemory = 256 * MiB; // xz -9 takes 65 MiB

struct FreeIndex {
    void operator()(lzma_index* index) const { lzma_index_end(index, nullptr); }
};
using Index = std::unique_ptr<lzma_index, FreeIndex>;

class LzmaCoder {
  public:
    LzmaCoder() = default;
    ~LzmaCoder() { lzma_end(&stream_); }
    LzmaCoder(const LzmaCoder&) = delete;
    LzmaCoder& operator=(const LzmaCoder&) = delete;
    lzma_stream* operator->() { return &stream_; }
    lzma_stream* get() { return &stream_; }

  private:
    lzma_stream stream_ = LZMA_STREAM_INIT;
};

// Of all streams of the file; null if that cannot be read.
Index read_index(const BlockDevice& stored) {
    lzma_index* found = nullptr;
    LzmaCoder coder;
    if (lzma_file_info_decoder(coder.get(), &found, kMaxIndexMemory, stored.size()) != LZMA_OK)
        fail(ErrorKind::external, "liblzma cannot make a decompression context");
    std::vector<std::byte> buffer(kBlockStep);
    std::uint64_t position = 0;
    for (;;) {
        if (coder->avail_in == 0 && position < stored.size()) {
            const std::size_t step =
                static_cast<std::size_t>(std::min<std::uint64_t>(kBlockStep, stored.size() - position));
            stored.read_at(position, std::span(buffer).first(step));
            position += step;
            coder->next_in = reinterpret_cast<const std::uint8_t*>(buffer.data());
            coder->avail_in = step;
        }
        const lzma_ret result = lzma_code(coder.get(), LZMA_RUN);
        if (result == LZMA_STREAM_END)
            return Index(found);
        if (result == LZMA_SEEK_NEEDED) {
            position = coder->seek_pos;
            coder->avail_in = 0;
        } else if (result != LZMA_OK) {
            return nullptr;
        }
    }
}

// The filters of a block, whose options liblzma allocates.
struct BlockFilters {
    std::array<lzma_filter, LZMA_FILTERS_MAX + 1> list{};
    BlockFilters() { list[0].id = LZMA_VLI_UNKNOWN; }
    ~BlockFilters() { lzma_filters_free(list.data(), nullptr); }
    BlockFilters(const BlockFilters&) = delete;
    BlockFilters& operator=(const BlockFilters&) = delete;
};

class XzBlocks final : public BlockDevice {
  public:
    XzBlocks(std::shared_ptr<const BlockDevice> stored, Index index, const OperationContext& operation)
        : stored_(std::move(stored)), index_(std::move(index)), size_(lzma_index_uncompressed_size(index_.get())),
          operation_(operation), decoded_(static_cast<std::size_t>(lzma_index_block_count(index_.get()))),
          scratch_(operation.scratch_folder, {size_, unpacked_budget(stored_->size())}) {
        scratch_.require_room(stored_->size());
    }

    std::uint64_t size() const override { return size_; }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        while (!buffer.empty()) {
            const std::uint64_t left = block_at(offset).end - offset;
            const std::span<std::byte> part =
                buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left)));
            const std::size_t got = vm2oci::read_at(scratch_.fd(), offset, part);
            std::ranges::fill(part.subspan(got), std::byte{0}); // zeros at the end were never written
            offset += part.size();
            buffer = buffer.subspan(part.size());
        }
    }

    Extent extent_at(std::uint64_t offset) const override {
        check_range(*this, offset, 1);
        const std::uint64_t end = block_at(offset).end;
        const off_t data = ::lseek(scratch_.fd(), static_cast<off_t>(offset), SEEK_DATA);
        if (data < 0)
            return {end - offset, errno == ENXIO ? ExtentKind::zero : ExtentKind::data};
        if (static_cast<std::uint64_t>(data) > offset)
            return {std::min(end, static_cast<std::uint64_t>(data)) - offset, ExtentKind::zero};
        const off_t hole = ::lseek(scratch_.fd(), static_cast<off_t>(offset), SEEK_HOLE);
        const bool known = hole > 0 && static_cast<std::uint64_t>(hole) > offset;
        return {(known ? std::min(end, static_cast<std::uint64_t>(hole)) : end) - offset, ExtentKind::data};
    }

  private:
    struct BlockPlace {
        std::uint64_t end; // of the block, in the content
    };

    // The block that holds `offset`, decoded.
    BlockPlace block_at(std::uint64_t offset) const {
        lzma_index_iter place;
        lzma_index_iter_init(&place, index_.get());
        if (lzma_index_iter_locate(&place, offset))
            fail(ErrorKind::corrupt, "the xz file's index has no block for what its own size covers");
        const std::uint64_t begin = place.block.uncompressed_file_offset;
        const std::uint64_t end = begin + place.block.uncompressed_size;
        const auto number = static_cast<std::size_t>(place.block.number_in_file - 1);
        const std::lock_guard lock(mutex_);
        if (!decoded_[number]) {
            with_context(fmt::format("block {} of the xz file", number + 1), [&] { decode(place, begin, end); });
            decoded_[number] = true;
        }
        return {end};
    }

    void decode(const lzma_index_iter& place, std::uint64_t begin, std::uint64_t end) const {
        std::uint64_t from = place.block.compressed_file_offset;
        const std::uint64_t stored_end = from + place.block.total_size;
        std::array<std::byte, LZMA_BLOCK_HEADER_SIZE_MAX> header{};
        stored_->read_at(from, std::span(header).first(1));
        lzma_block block{};
        BlockFilters filters;
        block.version = 1;
        block.check = place.stream.flags->check;
        block.filters = filters.list.data();
        block.header_size = lzma_block_header_size_decode(std::to_integer<std::uint8_t>(header[0]));
        if (header[0] == std::byte{0} || block.header_size > place.block.total_size)
            fail(ErrorKind::corrupt, "its header is broken");
        stored_->read_at(from, std::span(header).first(block.header_size));
        if (lzma_block_header_decode(&block, nullptr, reinterpret_cast<const std::uint8_t*>(header.data())) !=
                LZMA_OK ||
            lzma_block_compressed_size(&block, place.block.unpadded_size) != LZMA_OK ||
            (block.uncompressed_size != LZMA_VLI_UNKNOWN && block.uncompressed_size != place.block.uncompressed_size))
            fail(ErrorKind::corrupt, "its header is broken");
        block.uncompressed_size = place.block.uncompressed_size;
        if (lzma_raw_decoder_memusage(block.filters) > kMaxBlockMemory)
            fail(ErrorKind::limit, fmt::format("it needs more than {} of memory", format_size(kMaxBlockMemory)));
        LzmaCoder coder;
        if (lzma_block_decoder(coder.get(), &block) != LZMA_OK)
            fail(ErrorKind::unsupported, "it uses what this liblzma does not know");
        scratch_.seek(begin);
        from += block.header_size;
        pump(coder, from, stored_end);
        if (scratch_.end() != end)
            fail(ErrorKind::corrupt, "it is broken");
    }

    // Decodes all of a block.
    void pump(LzmaCoder& coder, std::uint64_t from, std::uint64_t stored_end) const {
        std::vector<std::byte> in(kBlockStep);
        std::vector<std::byte> out(kBlockStep);
        for (;;) {
            operation_.check_cancelled();
            if (coder->avail_in == 0 && from < stored_end) {
                const std::size_t step =
                    static_cast<std::size_t>(std::min<std::uint64_t>(kBlockStep, stored_end - from));
                stored_->read_at(from, std::span(in).first(step));
                from += step;
                coder->next_in = reinterpret_cast<const std::uint8_t*>(in.data());
                coder->avail_in = step;
            }
            coder->next_out = reinterpret_cast<std::uint8_t*>(out.data());
            coder->avail_out = out.size();
            const lzma_ret result = lzma_code(coder.get(), LZMA_RUN);
            if (result != LZMA_OK && result != LZMA_STREAM_END)
                fail(ErrorKind::corrupt, "it is broken");
            scratch_.write(std::span(out).first(out.size() - coder->avail_out));
            if (result == LZMA_STREAM_END)
                return;
        }
    }

    std::shared_ptr<const BlockDevice> stored_;
    const Index index_;
    const std::uint64_t size_;
    const OperationContext operation_;
    mutable std::mutex mutex_; // guards what follows; what is decoded is read without it
    mutable std::vector<bool> decoded_;
    mutable SparseScratch scratch_;
};

} // namespace

std::shared_ptr<const BlockDevice> open_xz_blocks(std::shared_ptr<const BlockDevice> stored, std::uint64_t max_content,
                                                  const OperationContext& operation) {
    Index index = read_index(*stored);
    if (!index || lzma_index_block_count(index.get()) < 2)
        return nullptr;
    if (lzma_index_uncompressed_size(index.get()) > max_content)
        fail(ErrorKind::limit,
             fmt::format("it unpacks to {}, and the limit is {}",
                         format_size(lzma_index_uncompressed_size(index.get())), format_size(max_content)));
    return std::make_shared<XzBlocks>(std::move(stored), std::move(index), operation);
}

} // namespace vm2oci
