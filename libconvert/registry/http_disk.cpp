#include "libconvert/registry/http_disk.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/file_device.hpp"
#include "formats/codec/sparse_scratch.hpp"
#include "libconvert/registry/curl_transport.hpp"
#include "libconvert/registry/retry.hpp"
#include "libconvert/registry/tls_settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace vm2oci::registry {
namespace {

constexpr std::uint64_t kHttpUnit = 1 * MiB;
constexpr std::uint64_t kMostUnitsAtOnce = 8; // of a reader that goes straight on
constexpr std::size_t kKeptUnits = 32;        // 32 MiB
constexpr unsigned kMostRedirects = 10;

struct ContentRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t total = 0;
};

// "bytes 0-1023/4096"; nullopt for anything else, an unknown total included.
std::optional<ContentRange> parse_content_range(std::string_view text) {
    constexpr std::string_view unit = "bytes ";
    if (!text.starts_with(unit))
        return std::nullopt;
    text.remove_prefix(unit.size());
    ContentRange range;
    const auto number = [&](std::uint64_t& value, char behind) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc())
            return false;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (behind == '\0')
            return text.empty();
        const bool fits = text.starts_with(behind);
        if (fits)
            text.remove_prefix(1);
        return fits;
    };
    if (!number(range.first, '-') || !number(range.last, '/') || !number(range.total, '\0') ||
        range.last < range.first || range.last >= range.total)
        return std::nullopt;
    return range;
}

// Takes what a part of the file must be, and no more.
class PartSink final : public ByteSink {
  public:
    explicit PartSink(std::uint64_t most) : most_(most) {}
    void write(std::span<const std::byte> bytes) override {
        if (bytes.size() > most_ - bytes_.size())
            fail(ErrorKind::io, "the server sends more than it was asked for");
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }
    std::vector<std::byte>& bytes() { return bytes_; }

  private:
    std::uint64_t most_;
    std::vector<std::byte> bytes_;
};

// Writes into the scratch file, and tells how far it is.
class WholeFileSink final : public ByteSink {
  public:
    WholeFileSink(SparseScratch& scratch, ProgressSink& progress) : scratch_(scratch), progress_(progress) {}
    void write(std::span<const std::byte> bytes) override {
        scratch_.write(bytes);
        progress_.advance(bytes.size());
    }

  private:
    SparseScratch& scratch_;
    ProgressSink& progress_;
};

std::uint64_t content_length(const HttpResponse& response) {
    const std::string text = response.headers.find("Content-Length").value_or("");
    std::uint64_t length = 0;
    std::from_chars(text.data(), text.data() + text.size(), length);
    return length;
}

class HttpFile {
  public:
    HttpFile(const std::string& url, std::shared_ptr<HttpTransport> transport, const OperationContext& operation)
        : name_(escape_untrusted(url.substr(0, url.find('?')))), original_(parse_url(url)), operation_(operation),
          transport_(std::move(transport)), clock_(operation), patient_(*transport_, clock_), current_(original_) {}

    const std::string& name() const { return name_; }
    std::uint64_t size() const { return size_; }

    // The first part; the whole file in `scratch` if the server does not know ranges (true).
    bool open(SparseScratch& scratch, std::vector<std::byte>& first) {
        PartSink part(kHttpUnit);
        std::optional<WholeFileSink> download;
        const auto choose = [&](const HttpResponse& response) -> ByteSink* {
            part.bytes().clear(); // of an attempt that was lost
            if (response.status == 206)
                return &part;
            if (response.status != 200)
                return nullptr;
            if (download)
                fail(ErrorKind::io,
                     fmt::format("the connection to the server of {} was lost, and it only sends the file "
                                 "as a whole; try again",
                                 name_));
            scratch.require_room(content_length(response));
            operation_.progress->begin("download " + name_, content_length(response));
            download.emplace(scratch, *operation_.progress);
            return &*download;
        };
        HttpResponse response;
        try {
            response = ask(0, kHttpUnit - 1, choose);
        } catch (...) {
            if (download)
                operation_.progress->end();
            throw;
        }
        if (download) {
            operation_.progress->end();
            return true;
        }
        if (response.status == 416) { // there is no first byte
            size_ = 0;
            return false;
        }
        const ContentRange range = require_part(response, 0);
        size_ = range.total;
        tag_ = tag_of(response);
        if (part.bytes().size() != range.last + 1)
            fail_server("sent another number of bytes than it says");
        first = std::move(part.bytes());
        return false;
    }

    // Error{io} unless exactly these bytes come, of the same file as the first.
    std::vector<std::byte> fetch(std::uint64_t first, std::uint64_t length) {
        PartSink part(length);
        const HttpResponse response = ask(first, first + length - 1, [&](const HttpResponse& head) {
            part.bytes().clear(); // of an attempt that was lost
            return head.status == 206 ? &part : nullptr;
        });
        const ContentRange range = require_part(response, first);
        if (range.total != size_ || tag_of(response) != tag_)
            fail_server("has another file now than when reading began; try again");
        if (range.last + 1 - range.first != length || part.bytes().size() != length)
            fail_server("sent another part than it was asked for");
        return std::move(part.bytes());
    }

  private:
    [[noreturn]] void fail_server(std::string_view what) const {
        fail(ErrorKind::io, fmt::format("the server of {} {}", name_, what));
    }

    // What tells one version of the file from another.
    static std::string tag_of(const HttpResponse& response) {
        if (const auto tag = response.headers.find("ETag"))
            return *tag;
        return response.headers.find("Last-Modified").value_or("");
    }

    ContentRange require_part(const HttpResponse& response, std::uint64_t first) const {
        if (response.status == 404 || response.status == 410)
            fail(ErrorKind::not_found, fmt::format("{} is not there: the server answers {}", name_, response.status));
        if (response.status != 206)
            fail_server(fmt::format("answers {} instead of the file", response.status));
        const std::optional<ContentRange> range =
            parse_content_range(response.headers.find("Content-Range").value_or(""));
        if (!range || range->first != first)
            fail_server("does not say which part of the file it sends");
        return *range;
    }

    HttpResponse ask(std::uint64_t first, std::uint64_t last,
                     const std::function<ByteSink*(const HttpResponse&)>& choose) {
        HttpRequest request;
        {
            const std::lock_guard lock(mutex_);
            request.url = current_;
        }
        const bool is_original = request.url == original_;
        request.headers.add("Range", fmt::format("bytes={}-{}", first, last));
        request.headers.add("Accept-Encoding", "identity");
        request.choose_sink = choose;
        HttpResponse response = follow(request);
        // Addresses that a redirect leads to are often signed, and expire.
        const bool may_be_expired = response.status == 401 || response.status == 403 || response.status == 404;
        if (!is_original && may_be_expired) {
            request.url = original_;
            response = follow(request);
        }
        return response;
    }

    HttpResponse follow(HttpRequest& request) {
        for (unsigned redirects = 0;; ++redirects) {
            HttpResponse response = patient_.repeatedly(request);
            const std::optional<std::string> location = response.headers.find("Location");
            const bool is_redirect = response.status == 301 || response.status == 302 || response.status == 303 ||
                                     response.status == 307 || response.status == 308;
            if (!is_redirect || !location) {
                const std::lock_guard lock(mutex_);
                current_ = request.url;
                return response;
            }
            if (redirects == kMostRedirects)
                fail_server("redirects without end");
            const Url next = resolve_url(request.url, *location);
            if (request.url.scheme == "https" && next.scheme == "http")
                fail(ErrorKind::unsafe, fmt::format("{} redirects to plain HTTP at {}, which is not followed", name_,
                                                    escape_untrusted(next.host_and_port())));
            request.url = next;
        }
    }

    const std::string name_; // without the query, which may be a secret
    const Url original_;
    const OperationContext operation_;
    std::shared_ptr<HttpTransport> transport_;
    SystemClock clock_;
    PatientTransport patient_;
    std::mutex mutex_; // guards the next
    Url current_;      // where redirects led
    std::uint64_t size_ = 0;
    std::string tag_;
};

class HttpDisk final : public BlockDevice {
  public:
    HttpDisk(std::shared_ptr<HttpFile> file, std::vector<std::byte> first) : file_(std::move(file)) {
        if (!first.empty())
            keep(0, std::make_shared<const std::vector<std::byte>>(std::move(first)));
    }

    std::uint64_t size() const override { return file_->size(); }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        while (!buffer.empty()) {
            const Unit bytes = unit(offset / kHttpUnit);
            const auto at = static_cast<std::size_t>(offset % kHttpUnit);
            const std::size_t count = std::min(buffer.size(), bytes->size() - at);
            std::memcpy(buffer.data(), bytes->data() + at, count);
            buffer = buffer.subspan(count);
            offset += count;
        }
    }
    Extent extent_at(std::uint64_t offset) const override {
        check_range(*this, offset, 1);
        return {size() - offset, ExtentKind::data};
    }

  private:
    using Unit = std::shared_ptr<const std::vector<std::byte>>;
    struct Kept {
        Unit bytes;
        std::list<std::uint64_t>::iterator use;
    };

    Unit unit(std::uint64_t number) const {
        std::uint64_t count = 1;
        {
            const std::lock_guard lock(mutex_);
            if (const auto found = units_.find(number); found != units_.end()) {
                uses_.splice(uses_.begin(), uses_, found->second.use);
                return found->second.bytes;
            }
            // Who reads on where the last request ended is a stream.
            ahead_ = number == next_ ? std::min(kMostUnitsAtOnce, ahead_ * 2) : 1;
            const std::uint64_t units = divide_up(size(), kHttpUnit);
            while (count < ahead_ && number + count < units && !units_.contains(number + count))
                ++count;
            next_ = number + count;
        }
        const std::uint64_t begin = number * kHttpUnit;
        const std::uint64_t end = std::min(size(), begin + count * kHttpUnit);
        const std::vector<std::byte> bytes = file_->fetch(begin, end - begin);
        Unit wanted;
        for (std::uint64_t i = count; i-- > 0;) {
            const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(i * kHttpUnit);
            const auto length = std::min<std::uint64_t>(kHttpUnit, bytes.size() - i * kHttpUnit);
            wanted = std::make_shared<const std::vector<std::byte>>(from, from + static_cast<std::ptrdiff_t>(length));
            const std::lock_guard lock(mutex_);
            keep(number + i, wanted);
        }
        return wanted;
    }

    void keep(std::uint64_t number, Unit bytes) const {
        if (units_.contains(number))
            return; // two threads fetched it
        uses_.push_front(number);
        units_[number] = {std::move(bytes), uses_.begin()};
        if (units_.size() > kKeptUnits) {
            units_.erase(uses_.back());
            uses_.pop_back();
        }
    }

    std::shared_ptr<HttpFile> file_;
    mutable std::mutex mutex_; // guards what follows
    mutable std::map<std::uint64_t, Kept> units_;
    mutable std::list<std::uint64_t> uses_; // the last one in front
    mutable std::uint64_t ahead_ = 1;
    mutable std::uint64_t next_ = 1;
};

} // namespace

bool is_http_url(std::string_view text) {
    return text.starts_with("https://") || text.starts_with("http://");
}

std::shared_ptr<const BlockDevice> open_http_disk(const std::string& url, std::shared_ptr<HttpTransport> transport,
                                                  std::uint64_t max_size, const OperationContext& operation) {
    const auto file = std::make_shared<HttpFile>(url, std::move(transport), operation);
    SparseScratch scratch(operation.scratch_folder, {.max_size = max_size});
    std::vector<std::byte> first;
    if (file->open(scratch, first))
        return std::make_shared<const FileDevice>(scratch.take(), "the scratch file of " + file->name());
    return std::make_shared<const HttpDisk>(file, std::move(first));
}

std::shared_ptr<const BlockDevice> open_http_disk(const std::string& url, const RegistryOptions& options,
                                                  std::uint64_t max_size, const OperationContext& operation) {
    const std::string host = parse_url(url).host_and_port();
    CurlTransportOptions transport;
    transport.check = options.tls_verify == TlsVerify::never ? CertificateCheck::skip : CertificateCheck::verify;
    transport.tls = load_tls_settings(host, options.certificate_folder);
    transport.client_host = host;
    transport.operation = operation;
    return open_http_disk(url, std::make_shared<CurlTransport>(std::move(transport)), max_size, operation);
}

} // namespace vm2oci::registry
