#include "formats/initrd/members.hpp"

#include "formats/base/byte_stream.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/initrd/decoders.hpp"

#include <algorithm>
#include <span>
#include <string_view>

namespace vm2oci {
namespace {

constexpr std::size_t kReadSize = 1 * MiB; // many an initrd would not fit into our memory
constexpr std::size_t kMagicSize = 6;

class FileStream final : public ByteStream {
  public:
    explicit FileStream(const InitrdRead& read) : read_(read) {}

    std::span<const std::byte> available() override {
        if (begin_ == buffer_.size() && !ended_) {
            buffer_.clear();
            begin_ = 0;
            read_more();
        }
        return std::as_bytes(std::span(buffer_)).subspan(begin_);
    }
    void consume(std::size_t count) override { begin_ += count; }

    // The next bytes, which may be fewer at the end, without taking them.
    std::string peek(std::size_t count) {
        if (buffer_.size() - begin_ < count && !ended_) {
            buffer_.erase(0, begin_);
            begin_ = 0;
            read_more();
        }
        return buffer_.substr(begin_, count);
    }

  private:
    void read_more() {
        const std::string more = read_(offset_, kReadSize);
        offset_ += more.size();
        buffer_ += more;
        ended_ = more.empty();
    }

    const InitrdRead& read_;
    std::string buffer_;
    std::size_t begin_ = 0;
    std::uint64_t offset_ = 0;
    bool ended_ = false;
};

// Counts what is taken of a part, and of all parts together.
class CountedStream final : public ByteStream {
  public:
    CountedStream(ByteStream& stream, std::uint64_t& budget) : stream_(stream), budget_(budget) {}

    std::span<const std::byte> available() override { return stream_.available(); }
    void consume(std::size_t count) override {
        if (count > budget_)
            fail(ErrorKind::limit, "it unpacks to more than any initrd holds");
        budget_ -= count;
        taken_ += count;
        stream_.consume(count);
    }
    std::uint64_t taken() const { return taken_; }

  private:
    ByteStream& stream_;
    std::uint64_t& budget_;
    std::uint64_t taken_ = 0;
};

// False at the end of the stream.
bool skip_zeros(ByteStream& stream) {
    for (;;) {
        const std::span<const std::byte> bytes = stream.available();
        if (bytes.empty())
            return false;
        const auto found = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; });
        const bool at_end = found == bytes.end();
        stream.consume(static_cast<std::size_t>(found - bytes.begin()));
        if (!at_end)
            return true;
    }
}

class Walk {
  public:
    explicit Walk(InitrdVisitor& visitor) : visitor_(visitor) {}

    void run(FileStream& file) {
        while (skip_zeros(file)) {
            const std::string head = file.peek(kMagicSize);
            if (head.front() == '0') {
                if (!part("none", file))
                    return;
                continue;
            }
            const Decoder decoder = make_decoder(std::as_bytes(std::span(head)), file);
            if (decoder.name.empty())
                fail(ErrorKind::unsupported, "it is compressed in a way that is not known here");
            visitor_.part_begins(decoder.name);
            if (!decoder.stream)
                fail(ErrorKind::unsupported, "it is compressed by " + decoder.name + ", which is not read");
            if (!part(decoder.name, *decoder.stream))
                return;
            if (!decoder.stream->available().empty())
                fail(ErrorKind::corrupt, "it holds something else than cpio archives");
        }
    }

  private:
    // Until the stream ends, or something else than an archive begins. False: the visitor wants no more.
    bool part(const std::string& compression, ByteStream& stream) {
        CountedStream counted(stream, budget_);
        while (skip_zeros(counted) && counted.available()[0] == std::byte{'0'})
            if (!archive(counted))
                return false;
        visitor_.part_ended({compression, counted.taken()});
        return true;
    }

    bool archive(ByteStream& stream) {
        CpioReader reader(stream);
        while (const auto member = reader.next()) {
            if (++members_ > kInitrdMemberLimit)
                fail(ErrorKind::limit, "it holds more files than any initrd");
            if (!visitor_.visit(*member, reader))
                return false;
        }
        return true;
    }

    InitrdVisitor& visitor_;
    std::uint64_t budget_ = kInitrdUnpackedLimit;
    std::size_t members_ = 0;
};

} // namespace

void visit_initrd(const InitrdRead& read, InitrdVisitor& visitor) {
    FileStream file(read);
    Walk(visitor).run(file);
}

} // namespace vm2oci
