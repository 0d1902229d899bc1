#include "libconvert/registry/blob_download.hpp"

#include "formats/base/escape.hpp"
#include "libconvert/registry/answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace vm2oci::registry {
namespace {

std::optional<std::uint64_t> take_number(std::string_view& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc())
        return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix))
        return false;
    text.remove_prefix(prefix.size());
    return true;
}

// Whether a 206 begins where it was asked to and belongs to a blob of the right size.
void check_content_range(const HttpResponse& response, std::uint64_t offset, const Descriptor& blob) {
    const auto range = parse_content_range(response.headers.find("Content-Range").value_or(""));
    if (!range || range->first != offset)
        fail(ErrorKind::external, "the registry answers with another range than was asked for");
    if (range->total && *range->total != blob.size)
        fail(ErrorKind::corrupt, fmt::format("the registry has {} bytes of {}, and it should be {}", *range->total,
                                             blob.digest.text(), blob.size));
}

// Takes the answers of one download, one after the other; knows how far it has come.
class DownloadSink final : public ByteSink {
  public:
    DownloadSink(const Descriptor& blob, ByteSink& out, const OperationContext& operation)
        : blob_(blob), out_(out), operation_(operation) {}

    std::uint64_t received() const { return received_; }
    Digest finish() { return Digest(hash_.finish()); }

    // What to do with an answer to a request from `received()` on.
    ByteSink* choose(const HttpResponse& response) {
        if (response.status == 206) {
            check_content_range(response, received_, blob_);
            to_skip_ = 0;
            return this;
        }
        if (response.status != 200)
            return nullptr;
        const std::optional<std::string> length = response.headers.find("Content-Length");
        if (length && *length != std::to_string(blob_.size))
            fail(ErrorKind::corrupt, fmt::format("the registry has {} bytes of {}, and it should be {}",
                                                 escape_untrusted(*length), blob_.digest.text(), blob_.size));
        to_skip_ = received_;
        return this;
    }

    void write(std::span<const std::byte> bytes) override {
        operation_.check_cancelled();
        const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(to_skip_, bytes.size()));
        to_skip_ -= skipped;
        bytes = bytes.subspan(skipped);
        if (bytes.size() > blob_.size - received_)
            fail(ErrorKind::corrupt,
                 fmt::format("the registry sends more than the {} bytes of {}", blob_.size, blob_.digest.text()));
        hash_.update(bytes);
        out_.write(bytes);
        received_ += bytes.size();
        operation_.progress->advance(bytes.size());
    }

  private:
    const Descriptor& blob_;
    ByteSink& out_;
    const OperationContext& operation_;
    Sha256 hash_;
    std::uint64_t received_ = 0;
    std::uint64_t to_skip_ = 0;
};

// Ends a transfer from within: the answer is not a range.
struct RangeIgnored {};

class BufferSink final : public ByteSink {
  public:
    explicit BufferSink(std::span<std::byte> buffer) : buffer_(buffer) {}
    std::size_t filled() const { return filled_; }
    void write(std::span<const std::byte> bytes) override {
        if (bytes.size() > buffer_.size() - filled_)
            fail(ErrorKind::external, "the registry sends more than the range that was asked for");
        std::memcpy(buffer_.data() + filled_, bytes.data(), bytes.size());
        filled_ += bytes.size();
    }

  private:
    std::span<std::byte> buffer_;
    std::size_t filled_ = 0;
};

// Counts faults that follow each other without progress, and all of them.
class Patience {
  public:
    explicit Patience(PatientTransport& transport) : transport_(transport) {}

    // Sleeps, or says that it is enough.
    bool after_fault(std::uint64_t progress) {
        faults_ = progress > progress_at_fault_ ? 1 : faults_ + 1;
        progress_at_fault_ = progress;
        if (faults_ >= kMaxAttempts || ++resumptions_ > kMaxResumptions)
            return false;
        transport_.back_off(faults_);
        return true;
    }

  private:
    PatientTransport& transport_;
    std::uint64_t progress_at_fault_ = 0;
    unsigned faults_ = 0;
    unsigned resumptions_ = 0;
};

Url blob_url(const RegistryClient& client, const Descriptor& blob) {
    return client.url("blobs/" + blob.digest.text());
}

} // namespace

std::optional<ContentRange> parse_content_range(std::string_view text) {
    if (!take(text, "bytes "))
        return std::nullopt;
    const auto first = take_number(text);
    if (!first || !take(text, "-"))
        return std::nullopt;
    const auto last = take_number(text);
    if (!last || *last < *first || !take(text, "/"))
        return std::nullopt;
    if (text == "*")
        return ContentRange{*first, *last, std::nullopt};
    const auto total = take_number(text);
    if (!total || !text.empty() || *last >= *total)
        return std::nullopt;
    return ContentRange{*first, *last, total};
}

void download_blob(RegistryClient& client, const Descriptor& blob, ByteSink& out, const OperationContext& operation) {
    DownloadSink sink(blob, out, operation);
    Patience patience(client.transport());
    bool closed_range = false; // some registries answer 416 to a range without an end
    while (sink.received() < blob.size) {
        Call call;
        call.repeat = Repeat::never; // a repetition would begin at the old offset
        call.request.url = blob_url(client, blob);
        if (sink.received() > 0)
            call.request.headers.add("Range", closed_range ? fmt::format("bytes={}-{}", sink.received(), blob.size - 1)
                                                           : fmt::format("bytes={}-", sink.received()));
        call.request.choose_sink = [&](const HttpResponse& response) { return sink.choose(response); };
        try {
            const HttpResponse response = client.call(std::move(call)).response;
            if (response.status == 200 || response.status == 206) {
                if (sink.received() < blob.size && !patience.after_fault(sink.received()))
                    fail(ErrorKind::corrupt, fmt::format("{} ends {} after {} of {} bytes", client.host(),
                                                         blob.digest.text(), sink.received(), blob.size));
                continue;
            }
            const bool may_want_an_end = response.status == 416 && sink.received() > 0 && !closed_range;
            closed_range = closed_range || may_want_an_end;
            if (may_want_an_end)
                continue;
            if (!is_temporary(response.status) || !patience.after_fault(sink.received()))
                fail_answer(client.host(), response);
        } catch (const NetworkError& error) {
            if (!is_temporary(error.fault()) || !patience.after_fault(sink.received()))
                throw;
        }
    }
    const Digest digest = sink.finish();
    if (digest != blob.digest)
        fail(ErrorKind::corrupt,
             fmt::format("{} sent {} in the place of {}", client.host(), digest.text(), blob.digest.text()));
}

Url RangeFetcher::address() {
    const std::lock_guard lock(mutex_);
    return elsewhere_ ? *elsewhere_ : blob_url(client_, blob_);
}

void RangeFetcher::remember(const Url& answered_from) {
    const std::lock_guard lock(mutex_);
    if (answered_from != blob_url(client_, blob_))
        elsewhere_ = answered_from;
}

void RangeFetcher::forget() {
    const std::lock_guard lock(mutex_);
    elsewhere_.reset();
}

RangeAnswer RangeFetcher::fetch(std::uint64_t offset, std::span<std::byte> buffer) {
    BufferSink sink(buffer);
    Patience patience(client_.transport());
    while (sink.filled() < buffer.size()) {
        const std::uint64_t from = offset + sink.filled();
        const Url url = address();
        Call call;
        call.repeat = Repeat::never;
        call.request.url = url;
        call.request.headers.add("Range", fmt::format("bytes={}-{}", from, offset + buffer.size() - 1));
        call.request.choose_sink = [&](const HttpResponse& response) -> ByteSink* {
            if (response.status == 200)
                throw RangeIgnored();
            if (response.status != 206)
                return nullptr;
            check_content_range(response, from, blob_);
            return &sink;
        };
        try {
            const Answer answer = client_.call(std::move(call));
            if (answer.response.status == 206) {
                remember(answer.url);
                if (sink.filled() < buffer.size() && !patience.after_fault(sink.filled()))
                    fail(ErrorKind::io, fmt::format("{} does not send all of a range", client_.host()));
                continue;
            }
            const bool was_elsewhere = url != blob_url(client_, blob_);
            forget(); // a signed address ends with 401, 403 or whatever its host finds right
            if (was_elsewhere ? !patience.after_fault(sink.filled())
                              : !is_temporary(answer.response.status) || !patience.after_fault(sink.filled()))
                fail_answer(client_.host(), answer.response);
        } catch (const RangeIgnored&) {
            return RangeAnswer::ignored;
        } catch (const NetworkError& error) {
            forget();
            if (!is_temporary(error.fault()) || !patience.after_fault(sink.filled()))
                throw;
        }
    }
    return RangeAnswer::filled;
}

} // namespace vm2oci::registry
