#include "libconvert/registry/blob_upload.hpp"

#include "formats/base/escape.hpp"
#include "libconvert/registry/answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace vm2oci::registry {
namespace {

// A registry may hash the whole blob, or assemble it from its parts, before it answers the last request.
constexpr std::chrono::seconds kClosingTimeout{600};
constexpr std::chrono::seconds kTidyUpTimeout{5};
constexpr unsigned kMaxDigestRefusals = 2; // once may be damage on the way
constexpr unsigned kMaxLostAtClose = 2;    // whole blobs that are sent again because the last request was refused
constexpr const char* kOctets = "application/octet-stream";

// Part of the content as the body of a request.
class ContentBody final : public HttpBody {
  public:
    ContentBody(const UploadContent& content, std::uint64_t offset, std::uint64_t length)
        : content_(content), offset_(offset), length_(length) {}
    std::uint64_t size() const override { return length_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        content_.read_at(offset_ + offset, buffer);
    }

  private:
    const UploadContent& content_;
    std::uint64_t offset_;
    std::uint64_t length_;
};

bool is_success(int status) {
    return status >= 200 && status < 300;
}

// The upload is gone: 404 by the specification; some answer 400 with a code that says so.
bool says_upload_is_gone(const HttpResponse& response) {
    return response.status == 404 || response.status == 410 ||
           response.body.find("BLOB_UPLOAD_UNKNOWN") != std::string::npos ||
           response.body.find("BLOB_UPLOAD_INVALID") != std::string::npos;
}

// No such method on uploads.
bool refuses_chunks(int status) {
    return status == 405 || status == 501;
}

// The specification's code for it, whatever the status.
bool says_unsupported(const HttpResponse& response) {
    return response.status >= 400 && response.status < 500 &&
           response.body.find("\"UNSUPPORTED\"") != std::string::npos;
}

// What registries without chunks answer, and what may mean something else.
bool may_be_about_chunks(int status) {
    return status == 400 || status == 404;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

void check_stored_digest(const RegistryClient& client, const HttpResponse& response, const Digest& digest) {
    const std::optional<std::string> stored = response.headers.find("Docker-Content-Digest");
    // A registry may name the blob by a digest of another algorithm.
    if (stored && stored->starts_with("sha256:") && *stored != digest.text())
        fail(ErrorKind::external, fmt::format("{} says that it stored {} in the place of {}; no tag was written",
                                              client.host(), quote_untrusted(*stored), digest.text()));
}

} // namespace

std::optional<std::uint64_t> acknowledged_bytes(const HttpHeaders& headers) {
    const std::optional<std::string> range = headers.find("Range");
    if (!range)
        return std::nullopt;
    std::string_view text = *range;
    if (text.starts_with("bytes="))
        text.remove_prefix(6);
    if (!text.starts_with("0-"))
        return std::nullopt;
    const std::optional<std::uint64_t> last = parse_number(text.substr(2));
    if (!last || *last == UINT64_MAX)
        return std::nullopt;
    return *last == 0 ? 0 : *last + 1;
}

bool blob_exists(RegistryClient& client, const Descriptor& blob) {
    Call call;
    call.request.method = HttpMethod::head;
    call.request.url = client.url("blobs/" + blob.digest.text());
    call.access = Access::push; // the token that the upload needs anyway
    const HttpResponse response = client.call(std::move(call)).response;
    // A HEAD has no words for why it is refused; the upload that follows has.
    if (response.status == 401 || response.status == 403 || response.status == 404 || response.status == 405)
        return false;
    if (response.status != 200)
        fail_answer(client.host(), response);
    check_stored_digest(client, response, blob.digest);
    const std::optional<std::string> length = response.headers.find("Content-Length");
    const std::optional<std::uint64_t> size = length ? parse_number(*length) : std::nullopt;
    if (size && *size != blob.size)
        fail(ErrorKind::external, fmt::format("{} has {} with {} bytes, and it should have {}", client.host(),
                                              blob.digest.text(), *size, blob.size));
    return true;
}

BlobUpload::BlobUpload(RegistryClient& client, std::function<void(std::uint64_t)> on_progress)
    : client_(client), on_progress_(std::move(on_progress)), chunk_limit_(client.upload_habits().request_limit()) {}

BlobUpload::~BlobUpload() {
    if (!location_)
        return;
    try {
        Call call;
        call.request.method = HttpMethod::remove;
        call.request.url = *location_;
        call.request.stall_timeout = kTidyUpTimeout;
        call.request.interruption = Interruption::never;
        call.access = Access::push;
        call.repeat = Repeat::never;
        client_.call(std::move(call));
    } catch (...) {
        // Registries drop abandoned uploads by themselves after some days.
    }
}

Answer BlobUpload::call(HttpMethod method, const Url& url, const HttpBody* body, HttpHeaders headers) {
    Call call;
    call.request.method = method;
    call.request.url = url;
    call.request.headers = std::move(headers);
    call.request.body = body;
    call.access = Access::push;
    call.repeat = method == HttpMethod::get || method == HttpMethod::post ? Repeat::freely : Repeat::never;
    if (method == HttpMethod::put)
        call.request.stall_timeout = kClosingTimeout;
    if (body != nullptr && on_progress_)
        call.request.on_sent = [this, from = acknowledged_](std::uint64_t sent) { on_progress_(from + sent); };
    return client_.call(std::move(call));
}

void BlobUpload::take_location(const HttpResponse& response, const Url& asked) {
    const std::optional<std::string> text = response.headers.find("Location");
    if (!text)
        return;
    Url next = resolve_url(asked, *text);
    // A registry behind a proxy that ends TLS may believe that it is spoken to in plain HTTP.
    if (asked.scheme == "https" && next.scheme == "http") {
        if (next.host != asked.host)
            fail(ErrorKind::unsafe, fmt::format("{} wants the upload sent in plain HTTP to {}, which is not done",
                                                asked.host_and_port(), next.host_and_port()));
        next.scheme = "https";
        next.port = asked.port;
    }
    location_ = std::move(next);
}

void BlobUpload::begin() {
    const Url url = client_.url("blobs/uploads/");
    const Answer answer = call(HttpMethod::post, url, nullptr);
    if (answer.response.status != 202)
        fail_answer(client_.host(), answer.response);
    take_location(answer.response, answer.url);
    if (!location_)
        fail(ErrorKind::external, client_.host() + " accepted an upload and did not say where to send it");
    acknowledged_ = 0;
    acknowledged_at_fault_ = 0;
    sent_until_ = 0;
    if (const auto minimum = answer.response.headers.find("OCI-Chunk-Min-Length"))
        chunk_minimum_ = parse_number(*minimum).value_or(0);
    if (chunk_minimum_ > kLargestChunk)
        fail(ErrorKind::unsupported, fmt::format("{} wants chunks of at least {} bytes, more than the {} that are "
                                                 "kept in memory; write an OCI layout and push that",
                                                 client_.host(), chunk_minimum_, kLargestChunk));
}

bool BlobUpload::mount(const Digest& digest, const std::string& from_repository) {
    Call call;
    call.request.method = HttpMethod::post;
    call.request.url =
        with_query(with_query(client_.url("blobs/uploads/"), "mount", digest.text()), "from", from_repository);
    call.access = Access::push;
    call.other_repository = from_repository;
    const Answer answer = client_.call(std::move(call));
    if (answer.response.status == 201) {
        check_stored_digest(client_, answer.response, digest);
        return true;
    }
    if (answer.response.status == 202)
        take_location(answer.response, answer.url);
    return false; // not allowed, not there, not supported: the upload tells what is really wrong
}

std::uint64_t BlobUpload::chunk_size() {
    if (!location_)
        begin();
    return std::clamp(kChunkSize, chunk_minimum_, std::max(chunk_limit_, chunk_minimum_));
}

const Url& BlobUpload::location() const {
    if (!location_)
        fail(ErrorKind::usage, "no upload is open");
    return *location_;
}

bool BlobUpload::synchronise() {
    const Answer answer = call(HttpMethod::get, location(), nullptr);
    if (says_upload_is_gone(answer.response) || answer.response.status == 416)
        return false;
    // A registry that cannot tell is like one that has lost it.
    if (!is_success(answer.response.status))
        return false;
    const std::optional<std::uint64_t> has = acknowledged_bytes(answer.response.headers);
    if (!has || *has > sent_until_)
        return false;
    take_location(answer.response, answer.url);
    acknowledged_ = *has;
    return true;
}

void BlobUpload::restart(const UploadContent& content, std::string_view what_happened) {
    location_.reset();
    if (!content.keep_from(0))
        throw UploadLost(ErrorKind::external,
                         fmt::format("{} has lost the upload after {}; try again, or write an OCI layout and push that",
                                     client_.host(), what_happened));
    if (++restarts_ > kMaxRestarts)
        fail(ErrorKind::external,
             fmt::format("{} loses the upload again and again, at last after {}", client_.host(), what_happened));
    begin();
}

void BlobUpload::recover(const UploadContent& content, std::string_view what_happened) {
    if (acknowledged_ > acknowledged_at_fault_)
        faults_ = 0;
    acknowledged_at_fault_ = acknowledged_;
    ++faults_;
    if (faults_ > kMaxAttempts + restarts_)
        fail(ErrorKind::external,
             fmt::format("uploading to {} fails again and again: {}", client_.host(), what_happened));
    client_.transport().back_off(std::min(faults_, 4U));
    const std::uint64_t before = acknowledged_;
    if (!synchronise() || !content.keep_from(acknowledged_))
        restart(content, what_happened);
    else if (acknowledged_ > before)
        faults_ = 0;
}

void BlobUpload::shrink_chunks(const HttpResponse& response, std::uint64_t refused) {
    const std::uint64_t smallest = std::max(kSmallestChunk, chunk_minimum_);
    const std::uint64_t too_large = std::min(chunk_limit_, refused);
    if (too_large <= smallest)
        fail_answer(client_.host(), response);
    chunk_limit_ = std::max(too_large / 2, smallest);
    client_.upload_habits().note_request_limit(chunk_limit_);
    faults_ = 0; // another request than the one that failed
}

bool BlobUpload::may_be_about_the_body(const HttpResponse& response, std::uint64_t sent) {
    constexpr int length_required = 411;
    constexpr int unprocessable = 422;
    const bool may_be = refuses_chunks(response.status) || may_be_about_chunks(response.status) ||
                        response.status == length_required || response.status == unprocessable;
    if (!may_be || sent == 0 || acknowledged_ == 0 || response.body.find("DIGEST_INVALID") != std::string::npos)
        return false;
    return !std::exchange(body_refused_at_close_, true);
}

void BlobUpload::refuse_chunks(std::string_view what_it_does) {
    client_.upload_habits().note_refused_chunks();
    throw ChunksRefused(ErrorKind::unsupported,
                        fmt::format("{} {}; convert to an OCI layout (oci:FOLDER) and push that, which sends a blob in "
                                    "one request",
                                    client_.host(), what_it_does));
}

bool BlobUpload::may_repeat_step() {
    return std::exchange(refused_at_, acknowledged_) != acknowledged_;
}

void BlobUpload::judge_chunk(const HttpResponse& response, const Url& asked, const UploadContent& content,
                             std::uint64_t length) {
    if (is_success(response.status)) {
        const std::uint64_t all = acknowledged_ + length;
        const std::uint64_t has = acknowledged_bytes(response.headers).value_or(all);
        take_location(response, asked);
        // A range that is no news ("0-0" of registries that do not count) cannot be meant.
        acknowledged_ = has > acknowledged_ && has < all ? has : all;
        return;
    }
    if (response.status == 413) {
        shrink_chunks(response, length);
        recover(content, "it refused the size of a request");
        return;
    }
    if (refuses_chunks(response.status) || says_unsupported(response) ||
        (may_be_about_chunks(response.status) && !may_repeat_step()))
        refuse_chunks(fmt::format("takes no blob in several requests (it answered {} to a chunk)", response.status));
    if (response.status == 416) {
        const std::uint64_t before = acknowledged_;
        const std::string said = explain_body(response);
        const bool is_last_try = acknowledged_ == acknowledged_at_fault_ && faults_ >= kMaxAttempts + restarts_;
        if (is_last_try && length <= std::max(kSmallestChunk, chunk_minimum_))
            refuse_chunks(
                fmt::format("goes on answering 416 to a request of {} bytes{}{}, and no smaller ones are tried", length,
                            said.empty() ? "" : ": ", said));
        recover(content, fmt::format("status 416{}{}", said.empty() ? "" : ": ", said));
        // It waits for just the bytes that it refused: it was their number, if there can be too many of them.
        if (acknowledged_ == before && length > std::max(kSmallestChunk, chunk_minimum_))
            shrink_chunks(response, length);
        return;
    }
    if (!may_be_about_chunks(response.status) && !is_temporary(response.status) && !says_upload_is_gone(response))
        fail_answer(client_.host(), response);
    const std::string said = explain_body(response);
    recover(content, fmt::format("status {}{}{}", response.status, said.empty() ? "" : ": ", said));
}

void BlobUpload::send_chunk(const UploadContent& content, std::uint64_t length) {
    const ContentBody body(content, acknowledged_, length);
    sent_until_ = std::max(sent_until_, acknowledged_ + length);
    HttpHeaders headers;
    headers.add("Content-Type", kOctets);
    headers.add("Content-Range", fmt::format("{}-{}", acknowledged_, acknowledged_ + length - 1));
    try {
        const Answer answer = call(HttpMethod::patch, location(), &body, std::move(headers));
        judge_chunk(answer.response, answer.url, content, length);
    } catch (const NetworkError& error) {
        if (!is_temporary(error.fault()))
            throw;
        recover(content, error.message());
    }
}

void BlobUpload::send(const UploadContent& content, std::uint64_t end) {
    closing_ = Closing::after_chunks;
    if (!location_)
        begin();
    while (acknowledged_ < end)
        send_chunk(content, std::min(end - acknowledged_, std::max(chunk_limit_, chunk_minimum_)));
}

void BlobUpload::send_all_but_last(const UploadContent& content, std::uint64_t size) {
    if (!location_)
        begin();
    while (size - acknowledged_ > chunk_size())
        send_chunk(content, std::min(size - acknowledged_ - 1, chunk_size()));
}

bool BlobUpload::close(const UploadContent& content, const BlobIdentity& blob) {
    const ContentBody rest(content, acknowledged_, blob.size - acknowledged_);
    sent_until_ = blob.size;
    HttpHeaders headers;
    headers.add("Content-Type", kOctets);
    if (acknowledged_ > 0 && rest.size() > 0)
        headers.add("Content-Range", fmt::format("{}-{}", acknowledged_, blob.size - 1));
    closing_ = Closing::after_chunks; // if this does not succeed
    const auto restart_or_retry = [&](std::string_view what_happened) {
        // The answer may be what was lost.
        if (blob_exists(client_, {.media_type = {}, .digest = blob.digest, .size = blob.size})) {
            location_.reset();
            return true;
        }
        const unsigned restarts = restarts_;
        recover(content, what_happened);
        if (restarts_ != restarts)
            ++location_lost_at_close_;
        return false;
    };
    try {
        const Answer answer =
            call(HttpMethod::put, with_query(location(), "digest", blob.digest.text()), &rest, std::move(headers));
        const HttpResponse& response = answer.response;
        if (is_success(response.status)) {
            location_.reset();
            check_stored_digest(client_, response, blob.digest);
            if (body_refused_at_close_ && rest.size() == 0)
                client_.upload_habits().note_refused_body();
            return true;
        }
        const std::string said = explain_body(response);
        if (response.status == 413) {
            shrink_chunks(response, rest.size());
            recover(content, "it refused the size of a request");
            return false;
        }
        if (response.body.find("DIGEST_INVALID") != std::string::npos && ++digest_refusals_ < kMaxDigestRefusals) {
            restart(content, said);
            return false;
        }
        if (may_be_about_the_body(response, rest.size()))
            return restart_or_retry(fmt::format("status {}{}{}", response.status, said.empty() ? "" : ": ", said));
        const bool may_help = response.status == 416 || is_temporary(response.status) || says_upload_is_gone(response);
        if (may_help && (location_lost_at_close_ < kMaxLostAtClose))
            return restart_or_retry(fmt::format("status {}{}{}", response.status, said.empty() ? "" : ": ", said));
        fail_answer(client_.host(), response);
    } catch (const NetworkError& error) {
        if (!is_temporary(error.fault()))
            throw;
        return restart_or_retry(error.message());
    }
}

void BlobUpload::finish(const UploadContent& content, const BlobIdentity& blob) {
    UploadHabits& habits = client_.upload_habits();
    const std::uint64_t single_limit =
        habits.request_limit() < kLargestChunk ? habits.request_limit() : kLargestSingleRequest;
    const bool in_one = acknowledged_ == 0 && (blob.size <= single_limit || habits.refuses_chunks());
    if (!in_one)
        closing_ = habits.closes_without_body() ? Closing::after_chunks : Closing::last_chunk_with_it;
    if (!location_)
        begin();
    do {
        try {
            if (closing_ == Closing::after_chunks)
                send(content, blob.size);
            else if (closing_ == Closing::last_chunk_with_it)
                send_all_but_last(content, blob.size);
        } catch (const ChunksRefused&) {
            if (!content.keep_from(0))
                throw;
            begin();
            closing_ = Closing::in_one_request;
        }
    } while (!close(content, blob));
}

} // namespace vm2oci::registry
