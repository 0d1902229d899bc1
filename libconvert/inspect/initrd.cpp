#include "libconvert/inspect/initrd.hpp"

#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "libconvert/inspect/decoders.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace vm2oci::inspect {
namespace {

constexpr std::size_t kReadSize = 1 * MiB;
constexpr std::size_t kMagicSize = 6;
constexpr std::size_t kMaxNameLength = 4096;

// The file in the guest, in order.
class FileStage final : public ByteStage {
  public:
    FileStage(const Guest& guest, const std::string& path) : guest_(guest), path_(path) {}

    std::span<const std::byte> available() override {
        if (begin_ == buffer_.size() && !ended_) {
            buffer_ = guest_.read_range(path_, offset_, kReadSize).value_or("");
            offset_ += buffer_.size();
            begin_ = 0;
            ended_ = buffer_.empty();
        }
        return std::as_bytes(std::span(buffer_)).subspan(begin_);
    }
    void consume(std::size_t count) override { begin_ += count; }

    // The next bytes, which may be fewer at the end, without taking them.
    std::string peek(std::size_t count) {
        if (buffer_.size() - begin_ < count && !ended_) {
            const std::string more = guest_.read_range(path_, offset_, kReadSize).value_or("");
            offset_ += more.size();
            buffer_ = buffer_.substr(begin_) + more;
            begin_ = 0;
        }
        return buffer_.substr(begin_, count);
    }

  private:
    const Guest& guest_;
    const std::string& path_;
    std::string buffer_;
    std::size_t begin_ = 0;
    std::uint64_t offset_ = 0;
    bool ended_ = false;
};

bool is_cpio(std::string_view head) {
    return head.substr(0, kMagicSize) == "070701" || head.substr(0, kMagicSize) == "070702";
}

bool is_module(std::string_view name) {
    return name.find(".ko") != std::string_view::npos && name.find("/modules/") != std::string_view::npos;
}

// cpio archives, one behind the other, as the kernel unpacks them.
class CpioScanner {
  public:
    CpioScanner(ByteStage& stage, InitrdFindings& findings, std::uint64_t& budget, const OperationContext& operation)
        : stage_(stage), findings_(findings), budget_(budget), operation_(operation) {}

    // Until the stream ends, or something else begins.
    void scan() {
        while (skip_zeros() && read_entry()) {
        }
    }

  private:
    // False at the end of the stream.
    bool skip_zeros() {
        for (;;) {
            const std::span<const std::byte> bytes = stage_.available();
            if (bytes.empty())
                return false;
            const auto found = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; });
            count(static_cast<std::size_t>(found - bytes.begin()));
            if (found != bytes.end())
                return true;
        }
    }

    void count(std::uint64_t bytes) {
        if (bytes > budget_)
            fail(ErrorKind::limit, "it unpacks to more than any initrd holds");
        budget_ -= bytes;
        stage_.consume(static_cast<std::size_t>(bytes));
    }

    std::string take(std::size_t length) {
        std::string text;
        while (text.size() < length) {
            const std::span<const std::byte> bytes = stage_.available();
            if (bytes.empty())
                fail(ErrorKind::corrupt, "it ends in the middle of a file");
            const std::size_t step = std::min(bytes.size(), length - text.size());
            text.append(reinterpret_cast<const char*>(bytes.data()), step);
            count(step);
        }
        return text;
    }

    void skip(std::uint64_t length) {
        while (length > 0) {
            operation_.check_cancelled();
            const std::span<const std::byte> bytes = stage_.available();
            if (bytes.empty())
                fail(ErrorKind::corrupt, "it ends in the middle of a file");
            const std::uint64_t step = std::min<std::uint64_t>(bytes.size(), length);
            count(step);
            length -= step;
        }
    }

    static std::uint64_t field(const std::string& header, std::size_t index) {
        std::uint64_t value = 0;
        const char* begin = header.data() + kMagicSize + index * 8;
        const auto [end, error] = std::from_chars(begin, begin + 8, value, 16);
        if (error != std::errc() || end != begin + 8)
            fail(ErrorKind::corrupt, "it holds a damaged cpio archive");
        return value;
    }

    // False if what comes is no cpio.
    bool read_entry() {
        constexpr std::size_t kHeaderSize = 110;
        const std::span<const std::byte> bytes = stage_.available();
        if (bytes[0] != std::byte{'0'})
            return false;
        const std::string header = take(kHeaderSize);
        if (!is_cpio(header))
            fail(ErrorKind::corrupt, "it holds a damaged cpio archive");
        const std::uint64_t size = field(header, 6);
        const std::uint64_t name_size = field(header, 11);
        if (name_size == 0 || name_size > kMaxNameLength)
            fail(ErrorKind::corrupt, "it holds a damaged cpio archive");
        std::string name = take(static_cast<std::size_t>(name_size));
        name.pop_back(); // its NUL
        skip((4 - (kHeaderSize + name_size) % 4) % 4);
        if (name == "TRAILER!!!")
            return true;
        if (++findings_.files > kMaxInitrdFiles)
            fail(ErrorKind::limit, "it holds more files than any initrd");
        skip(size);
        skip((4 - size % 4) % 4);
        if (is_module(name))
            findings_.modules.push_back(std::move(name));
        return true;
    }

    ByteStage& stage_;
    InitrdFindings& findings_;
    std::uint64_t& budget_;
    const OperationContext& operation_;
};

void read_parts(FileStage& file, InitrdFindings& findings, const OperationContext& operation) {
    std::uint64_t budget = kMaxInitrdContent;
    for (;;) {
        const std::span<const std::byte> bytes = file.available();
        if (bytes.empty())
            return;
        if (bytes[0] == std::byte{0}) {
            file.consume(1);
            continue;
        }
        const std::string head = file.peek(kMagicSize);
        if (is_cpio(head)) {
            CpioScanner(file, findings, budget, operation).scan();
            continue;
        }
        const Decoder decoder = make_decoder(std::as_bytes(std::span(head)), file);
        if (decoder.name.empty())
            fail(ErrorKind::unsupported, "it is compressed in a way that is not known here");
        findings.compression = decoder.name;
        if (!decoder.stage)
            fail(ErrorKind::unsupported, "it is compressed by " + decoder.name + ", which is not read");
        CpioScanner(*decoder.stage, findings, budget, operation).scan();
        if (!decoder.stage->available().empty())
            fail(ErrorKind::corrupt, "it holds something else than cpio archives");
    }
}

} // namespace

InitrdFindings read_initrd(const Guest& guest, const std::string& path, const OperationContext& operation) {
    InitrdFindings findings;
    findings.compression = "none";
    FileStage file(guest, path);
    try {
        read_parts(file, findings, operation);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        findings.problem = error.what();
    }
    return findings;
}

} // namespace vm2oci::inspect
