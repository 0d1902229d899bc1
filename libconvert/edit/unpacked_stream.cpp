#include "libconvert/edit/unpacked_stream.hpp"

#include "formats/base/error.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <isa-l/igzip_lib.h>

#include <exception>
#include <utility>

namespace vm2oci {
namespace {

// The packed bytes in order.
class PackedPieces {
  public:
    PackedPieces(const InitrdSource& source, std::uint64_t offset, std::uint64_t end)
        : source_(source), offset_(offset), end_(end) {}

    // Valid until the next call; empty at the end.
    const std::string& next() {
        piece_ = offset_ < end_ ? source_.piece(offset_, end_) : std::string();
        offset_ += piece_.size();
        return piece_;
    }

  private:
    const InitrdSource& source_;
    std::uint64_t offset_;
    std::uint64_t end_;
    std::string piece_;
};

class Budget {
  public:
    void take(std::size_t count) {
        total_ += count;
        if (total_ > kInitrdUnpackedLimit)
            fail(ErrorKind::limit, "the initrd is larger than 2 GiB when unpacked");
    }

  private:
    std::uint64_t total_ = 0;
};

// gzip is what most initrds have, and ISA-L reads it three times as fast as zlib.
class GzipStream final : public UnpackedStream {
  public:
    explicit GzipStream(PackedPieces pieces) : pieces_(std::move(pieces)), state_(std::make_unique<inflate_state>()) {
        isal_inflate_init(state_.get());
        state_->crc_flag = ISAL_GZIP;
    }

    std::string read(std::size_t count) override {
        budget_.take(count);
        std::string out(count, '\0');
        std::size_t filled = 0;
        while (filled < count && state_->block_state != ISAL_BLOCK_FINISH) {
            if (state_->avail_in == 0) {
                const std::string& piece = pieces_.next();
                if (piece.empty())
                    fail(ErrorKind::corrupt, "the initrd ends in the middle of its compressed part");
                state_->next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(piece.data()));
                state_->avail_in = static_cast<std::uint32_t>(piece.size());
            }
            const auto step = static_cast<std::uint32_t>(std::min<std::size_t>(count - filled, kStep));
            state_->next_out = reinterpret_cast<std::uint8_t*>(out.data() + filled);
            state_->avail_out = step;
            if (const int result = isal_inflate(state_.get()); result != ISAL_DECOMP_OK && result != ISAL_END_INPUT)
                fail(ErrorKind::corrupt, "the initrd cannot be unpacked");
            filled += step - state_->avail_out;
        }
        out.resize(filled);
        return out;
    }

  private:
    static constexpr std::size_t kStep = 1 << 30; // ISA-L counts in 32 bits

    PackedPieces pieces_;
    std::unique_ptr<inflate_state> state_; // 80 KiB
    Budget budget_;
};

struct ArchiveCloser {
    void operator()(archive* handle) const { archive_read_free(handle); }
};

// Everything else, by libarchive.
class ArchiveStream final : public UnpackedStream {
  public:
    explicit ArchiveStream(PackedPieces pieces) : pieces_(std::move(pieces)), archive_(archive_read_new()) {
        archive_read_support_filter_all(archive_.get());
        archive_read_support_format_raw(archive_.get());
        archive_entry* entry = nullptr;
        const bool opened = archive_read_open(archive_.get(), this, nullptr, feed, nullptr) == ARCHIVE_OK &&
                            archive_read_next_header(archive_.get(), &entry) == ARCHIVE_OK;
        rethrow();
        if (!opened || archive_filter_count(archive_.get()) < 2)
            fail(ErrorKind::unsupported, "the initrd is compressed in a way that is not known");
    }
    ArchiveStream(const ArchiveStream&) = delete;
    ArchiveStream& operator=(const ArchiveStream&) = delete;

    std::string read(std::size_t count) override {
        budget_.take(count);
        std::string out(count, '\0');
        std::size_t filled = 0;
        while (filled < count) {
            const la_ssize_t got = archive_read_data(archive_.get(), out.data() + filled, count - filled);
            rethrow();
            if (got < 0)
                fail(ErrorKind::corrupt, "the initrd cannot be unpacked");
            if (got == 0)
                break;
            filled += static_cast<std::size_t>(got);
        }
        out.resize(filled);
        return out;
    }

  private:
    // Called by libarchive, through which nothing may be thrown.
    static la_ssize_t feed(archive*, void* data, const void** buffer) {
        auto& self = *static_cast<ArchiveStream*>(data);
        try {
            const std::string& piece = self.pieces_.next();
            *buffer = piece.data();
            return static_cast<la_ssize_t>(piece.size());
        } catch (...) {
            self.thrown_ = std::current_exception();
            return ARCHIVE_FATAL;
        }
    }

    void rethrow() {
        if (thrown_)
            std::rethrow_exception(std::exchange(thrown_, nullptr));
    }

    PackedPieces pieces_;
    std::exception_ptr thrown_;
    Budget budget_;
    std::unique_ptr<archive, ArchiveCloser> archive_; // goes first: it reads through the others
};

} // namespace

std::unique_ptr<UnpackedStream> open_unpacked(const InitrdSource& source, std::uint64_t offset, std::uint64_t end) {
    PackedPieces pieces(source, offset, end);
    if (source.read(offset, 2) == "\x1f\x8b")
        return std::make_unique<GzipStream>(std::move(pieces));
    return std::make_unique<ArchiveStream>(std::move(pieces));
}

} // namespace vm2oci
