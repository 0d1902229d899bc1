#include "formats/codec/compressed_file.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/file_device.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/codec/seekable_content.hpp"
#include "formats/codec/sparse_scratch.hpp"
#include "formats/codec/stream_decoder.hpp"
#include "formats/codec/xz_blocks.hpp"

#include <zstd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace vm2oci {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kFileStep = 256 * KiB;
constexpr std::size_t kStreamHead = 64 * KiB; // what is looked at of a stream before it is decoded
constexpr unsigned kMaxLeadingSkippable = 64; // parallel writers put one in front of each frame
constexpr int kMaxFileWindowLog = 27;         // what zstd itself takes without being asked: 128 MiB
constexpr std::uint32_t kLz4FrameMagic = 0x184d2204;
constexpr std::size_t kMagicBytes = 10;

// A zstd or lz4 frame at `offset`, behind skippable ones.
std::optional<FileCompression> find_frame(const BlockDevice& file) {
    std::uint64_t offset = 0;
    for (unsigned skipped = 0; skipped <= kMaxLeadingSkippable; ++skipped) {
        std::array<std::byte, 8> head{};
        if (file.size() < head.size() || offset > file.size() - head.size())
            return std::nullopt;
        file.read_at(offset, head);
        const auto magic = load_le<std::uint32_t>(head.data());
        if (magic == ZSTD_MAGICNUMBER)
            return FileCompression::zstd;
        if (magic == kLz4FrameMagic)
            return FileCompression::lz4;
        if ((magic & 0xfffffff0U) != ZSTD_MAGIC_SKIPPABLE_START)
            return std::nullopt;
        offset += head.size() + load_le<std::uint32_t>(head.data() + 4);
    }
    return std::nullopt;
}

std::unique_ptr<StreamDecoder> make_decoder_of(FileCompression compression) {
    switch (compression) {
    case FileCompression::gzip:
        return make_gzip_decoder(Padding::zeros);
    case FileCompression::xz:
        return make_xz_decoder();
    case FileCompression::zstd:
        return make_zstd_decoder(kMaxFileWindowLog);
    case FileCompression::bzip2:
        return make_bzip2_decoder(Padding::zeros);
    case FileCompression::lz4:
        return make_lz4_decoder(Padding::zeros);
    }
    fail(ErrorKind::usage, "no such compression");
}

// Announces a phase for as long as it lives.
class Phase {
  public:
    Phase(const OperationContext& operation, std::string_view name, std::uint64_t total)
        : progress_(*operation.progress) {
        progress_.begin("unpack " + std::string(name), total);
    }
    ~Phase() { progress_.end(); }
    Phase(const Phase&) = delete;
    Phase& operator=(const Phase&) = delete;
    void advance(std::uint64_t bytes) { progress_.advance(bytes); }

  private:
    ProgressSink& progress_;
};

std::shared_ptr<const BlockDevice> finish_scratch(SparseScratch& scratch, std::string_view name) {
    return std::make_shared<const FileDevice>(scratch.take(), "the scratch file of " + std::string(name));
}

class HeadDevice final : public BlockDevice {
  public:
    explicit HeadDevice(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::uint64_t size() const override { return bytes_.size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        std::ranges::copy(bytes_.subspan(static_cast<std::size_t>(offset), buffer.size()), buffer.begin());
    }
    Extent extent_at(std::uint64_t offset) const override { return {bytes_.size() - offset, ExtentKind::data}; }

  private:
    std::span<const std::byte> bytes_;
};

// Keeps the first bytes, and passes over the rest.
class HeadSink final : public ByteSink {
  public:
    explicit HeadSink(std::size_t wanted) : wanted_(wanted) {}
    void write(std::span<const std::byte> bytes) override {
        const std::size_t taken = std::min(bytes.size(), wanted_ - head_.size());
        head_.insert(head_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    bool is_full() const { return head_.size() == wanted_; }
    std::vector<std::byte> take() { return std::move(head_); }

  private:
    std::size_t wanted_;
    std::vector<std::byte> head_;
};

enum class Looks { at_magic, nowhere };

class StreamSpool {
  public:
    StreamSpool(const ReadSome& read, const OperationContext& operation)
        : read_(read), operation_(operation), buffer_(kFileStep) {}

    UnpackedContent run(Looks looks, std::uint64_t max_content, std::string_view name) {
        UnpackedContent file;
        std::span<const std::byte> step = fill(kStreamHead);
        if (looks == Looks::at_magic)
            file.compression = detect_file_compression(HeadDevice(step));
        SparseScratch scratch(operation_.scratch_folder, {max_content});
        const std::unique_ptr<StreamDecoder> decoder = file.compression ? make_decoder_of(*file.compression) : nullptr;
        Phase phase(operation_, name, 0);
        for (; !step.empty(); step = fill(kFileStep)) {
            file.stored_size += step.size();
            if (decoder) {
                scratch.limit_written(unpacked_budget(file.stored_size));
                decoder->decode(step, scratch);
            } else {
                scratch.write(step);
            }
            phase.advance(step.size());
        }
        if (decoder)
            decoder->finish();
        file.content = finish_scratch(scratch, name);
        return file;
    }

  private:
    // The next bytes, fewer than `wanted` only where the stream ends.
    std::span<const std::byte> fill(std::size_t wanted) {
        std::size_t have = 0;
        while (have < wanted) {
            operation_.check_cancelled();
            const std::size_t got = read_(std::span(buffer_).subspan(have, wanted - have));
            if (got == 0)
                break;
            have += got;
        }
        return std::span<const std::byte>(buffer_).first(have);
    }

    const ReadSome& read_;
    const OperationContext& operation_;
    std::vector<std::byte> buffer_;
};

} // namespace

std::string_view to_string(FileCompression compression) {
    switch (compression) {
    case FileCompression::gzip:
        return "gzip";
    case FileCompression::xz:
        return "xz";
    case FileCompression::zstd:
        return "zstd";
    case FileCompression::bzip2:
        return "bzip2";
    case FileCompression::lz4:
        return "lz4";
    }
    return "";
}

std::string_view to_string(UnpackMethod method) {
    switch (method) {
    case UnpackMethod::in_place:
        return "in place";
    case UnpackMethod::scratch_blocks:
        return "by blocks";
    case UnpackMethod::scratch:
        return "whole";
    }
    return "";
}

std::optional<FileCompression> detect_file_compression(const BlockDevice& file) {
    std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kMagicBytes)), '\0');
    file.read_at(0, std::as_writable_bytes(std::span(head)));
    if (head.starts_with("\x1f\x8b\x08"sv))
        return FileCompression::gzip;
    if (head.starts_with("\xfd\x37zXZ\0"sv))
        return FileCompression::xz;
    const bool is_bzip2_level = head.size() == kMagicBytes && head[3] >= '1' && head[3] <= '9';
    const std::string_view block = std::string_view(head).substr(std::min<std::size_t>(head.size(), 4));
    if (head.starts_with("BZh"sv) && is_bzip2_level &&
        (block == "\x31\x41\x59\x26\x53\x59"sv || block == "\x17\x72\x45\x38\x50\x90"sv))
        return FileCompression::bzip2;
    return find_frame(file);
}

UnpackedContent open_compressed_file(const std::shared_ptr<const BlockDevice>& stored, FileCompression compression,
                                     std::uint64_t max_content, std::string_view name,
                                     const OperationContext& operation) {
    UnpackedContent file;
    file.compression = compression;
    file.stored_size = stored->size();
    if (compression == FileCompression::zstd)
        if (const auto content = open_seekable_content(stored, {.max_content = max_content}, {})) {
            file.content = content_range(content, 0, content->size());
            file.method = UnpackMethod::in_place;
            return file;
        }
    if (compression == FileCompression::xz)
        if (auto content = open_xz_blocks(stored, max_content, operation)) {
            file.content = std::move(content);
            file.method = UnpackMethod::scratch_blocks;
            return file;
        }
    SparseScratch scratch(operation.scratch_folder, {max_content, unpacked_budget(stored->size())});
    scratch.require_room(stored->size());
    const std::unique_ptr<StreamDecoder> decoder = make_decoder_of(compression);
    std::vector<std::byte> buffer(kFileStep);
    Phase phase(operation, name, stored->size());
    for (std::uint64_t offset = 0; offset < stored->size();) {
        operation.check_cancelled();
        const std::span<std::byte> step = std::span(buffer).first(
            static_cast<std::size_t>(std::min<std::uint64_t>(kFileStep, stored->size() - offset)));
        stored->read_at(offset, step);
        decoder->decode(step, scratch);
        offset += step.size();
        phase.advance(step.size());
    }
    decoder->finish();
    file.content = finish_scratch(scratch, name);
    return file;
}

std::vector<std::byte> first_content(const BlockDevice& stored, FileCompression compression, std::size_t wanted) {
    constexpr std::size_t step = 64 * KiB;
    constexpr std::uint64_t most = 2 * MiB; // bzip2 and xz decode by blocks of about a MiB
    HeadSink head(wanted);
    const std::unique_ptr<StreamDecoder> decoder = make_decoder_of(compression);
    std::vector<std::byte> buffer(step);
    for (std::uint64_t offset = 0; offset < std::min(most, stored.size()) && !head.is_full();) {
        const std::span<std::byte> piece =
            std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(step, stored.size() - offset)));
        stored.read_at(offset, piece);
        decoder->decode(piece, head);
        offset += piece.size();
    }
    return head.take();
}

UnpackedContent spool_stream(const ReadSome& read, std::uint64_t max_content, std::string_view name,
                             const OperationContext& operation) {
    return StreamSpool(read, operation).run(Looks::at_magic, max_content, name);
}

UnpackedContent spool_plain_stream(const ReadSome& read, std::uint64_t max_content, std::string_view name,
                                   const OperationContext& operation) {
    return StreamSpool(read, operation).run(Looks::nowhere, max_content, name);
}

} // namespace vm2oci
