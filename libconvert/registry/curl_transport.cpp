#include "libconvert/registry/curl_transport.hpp"

#include "formats/base/escape.hpp"
#include "libconvert/registry/curl_library.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <mutex>
#include <vector>

namespace vm2oci::registry {
namespace {

constexpr long kConnectTimeoutSeconds = 30;
constexpr long kTransferBufferBytes = 262'144; // fewer calls for each byte than curl's 16 and 64 KiB
constexpr std::size_t kMaxHeaders = 200;       // curl bounds the size of one header, nothing bounds their number

void initialise_libcurl_once() {
    static std::once_flag once;
    std::call_once(once, [] {
        if (curl_library().global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
            fail(ErrorKind::external, "libcurl cannot be initialised");
    });
}

struct ListDeleter {
    void operator()(curl_slist* list) const { curl_library().slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

void append(HeaderList& list, const std::string& line) {
    curl_slist* longer = curl_library().slist_append(list.get(), line.c_str());
    if (longer == nullptr)
        fail(ErrorKind::io, "out of memory");
    (void)list.release();
    list.reset(longer);
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' || text.back() == '\n'))
        text.remove_suffix(1);
    return text;
}

// One exchange: what curl's callbacks share. Nothing throws through curl; `failure` is thrown after it returned.
class Exchange {
  public:
    Exchange(const HttpRequest& request, const OperationContext& operation)
        : request_(request), operation_(operation) {}

    HttpResponse response;
    std::exception_ptr failure;
    bool stopped_at_limit = false;

    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) noexcept {
        return static_cast<Exchange*>(self)->guard(size * count, [&](Exchange& exchange) {
            exchange.take_header(trim({data, size * count}));
            return size * count;
        });
    }

    static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept {
        return static_cast<Exchange*>(self)->guard(size * count, [&](Exchange& exchange) {
            return exchange.take_body({reinterpret_cast<const std::byte*>(data), size * count});
        });
    }

    static std::size_t on_read(char* data, std::size_t size, std::size_t count, void* self) noexcept {
        auto& exchange = *static_cast<Exchange*>(self);
        try {
            return exchange.give_body({reinterpret_cast<std::byte*>(data), size * count});
        } catch (...) {
            exchange.failure = std::current_exception();
            return CURL_READFUNC_ABORT;
        }
    }

    // libcurl sends a request again by itself when a connection that it had kept turns out to be dead. What the server
    // has of the body by then only the caller can find out.
    static int on_seek(void* self, curl_off_t offset, int origin) noexcept {
        const bool at_start = static_cast<Exchange*>(self)->sent_ == 0 && offset == 0 && origin == SEEK_SET;
        return at_start ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
    }

    static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
        const auto& exchange = *static_cast<Exchange*>(self);
        return exchange.cancelled() ? 1 : 0;
    }

    bool cancelled() const {
        return request_.interruption == Interruption::by_cancellation && operation_.cancellation != nullptr &&
               operation_.cancellation->cancelled();
    }

  private:
    template <class Body>
    std::size_t guard(std::size_t /*size*/, Body body) noexcept {
        try {
            return body(*this);
        } catch (...) {
            failure = std::current_exception();
            return 0;
        }
    }

    void take_header(std::string_view line) {
        if (line.starts_with("HTTP/")) { // an interim answer (100) or the answer of a proxy came before
            response.headers = {};
            body_began_ = false;
            return;
        }
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos)
            return;
        if (response.headers.entries().size() >= kMaxHeaders)
            throw NetworkError(NetworkFault::protocol, "the answer has too many headers");
        response.headers.add(std::string(trim(line.substr(0, colon))), std::string(trim(line.substr(colon + 1))));
    }

    std::size_t take_body(std::span<const std::byte> bytes) {
        if (!body_began_) {
            body_began_ = true;
            long status = 0;
            curl_library().easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
            response.status = static_cast<int>(status);
            sink_ = request_.choose_sink ? request_.choose_sink(response) : nullptr;
        }
        if (sink_ != nullptr) {
            sink_->write(bytes);
            return bytes.size();
        }
        const std::size_t room = request_.body_limit - response.body.size();
        const std::size_t taken = std::min(room, bytes.size());
        response.body.append(reinterpret_cast<const char*>(bytes.data()), taken);
        if (taken == bytes.size())
            return taken;
        stopped_at_limit = true;
        return 0;
    }

    std::size_t give_body(std::span<std::byte> buffer) {
        const std::uint64_t left = request_.body->size() - sent_;
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size()));
        if (request_.on_sent)
            request_.on_sent(sent_);
        if (count == 0)
            return 0;
        request_.body->read_at(sent_, buffer.first(count));
        sent_ += count;
        return count;
    }

    const HttpRequest& request_;
    const OperationContext& operation_;
    ByteSink* sink_ = nullptr;
    std::uint64_t sent_ = 0;
    bool body_began_ = false;

  public:
    CURL* handle = nullptr;
};

// What OpenSSL found wrong with the certificate: X509_verify_cert_error_string(3).
NetworkFault certificate_fault(CURL* handle) {
    constexpr long kNotLookedAt = 1; // the chain is whole: libcurl compares the name before it takes this result over
    constexpr long kNotYetValid = 9;
    constexpr long kExpired = 10;
    long result = -1;
    curl_library().easy_getinfo(handle, CURLINFO_SSL_VERIFYRESULT, &result);
    if (result == kNotYetValid || result == kExpired)
        return NetworkFault::tls_expired;
    return result == kNotLookedAt ? NetworkFault::tls_elsewhere : NetworkFault::tls_untrusted;
}

NetworkFault fault_of(CURLcode code, CURL* handle) {
    curl_off_t connected_after = 0;
    curl_library().easy_getinfo(handle, CURLINFO_CONNECT_TIME_T, &connected_after);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return NetworkFault::unreachable;
    case CURLE_SSL_CONNECT_ERROR:
        return NetworkFault::tls_handshake;
    case CURLE_PEER_FAILED_VERIFICATION:
        return certificate_fault(handle);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
        return NetworkFault::tls_untrusted;
    case CURLE_OPERATION_TIMEDOUT:
        return connected_after > 0 ? NetworkFault::stalled : NetworkFault::unreachable;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
        return NetworkFault::protocol;
    default:
        return NetworkFault::dropped;
    }
}

template <class Value>
void set(CURL* handle, CURLoption option, Value value) {
    if (const CURLcode code = curl_library().easy_setopt(handle, option, value); code != CURLE_OK)
        fail(ErrorKind::external, fmt::format("libcurl refuses a setting: {}", curl_library().easy_strerror(code)));
}

void set_method(CURL* handle, const HttpRequest& request, Exchange& exchange) {
    if (request.method == HttpMethod::head) {
        set(handle, CURLOPT_NOBODY, 1L);
        return;
    }
    const bool carries_body =
        request.method == HttpMethod::post || request.method == HttpMethod::put || request.method == HttpMethod::patch;
    if (carries_body && request.body != nullptr && request.body->size() > 0) {
        set(handle, CURLOPT_UPLOAD, 1L);
        set(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
        set(handle, CURLOPT_READFUNCTION, &Exchange::on_read);
        set(handle, CURLOPT_READDATA, &exchange);
        set(handle, CURLOPT_SEEKFUNCTION, &Exchange::on_seek);
        set(handle, CURLOPT_SEEKDATA, &exchange);
    } else if (carries_body) {
        set(handle, CURLOPT_POSTFIELDS, "");
        set(handle, CURLOPT_POSTFIELDSIZE, 0L);
    }
    if (request.method != HttpMethod::get)
        set(handle, CURLOPT_CUSTOMREQUEST, to_string(request.method).data());
}

HeaderList header_lines(const HttpRequest& request) {
    HeaderList list;
    for (const auto& [name, value] : request.headers.entries())
        append(list, value.empty() ? fmt::format("{};", name) : fmt::format("{}: {}", name, value));
    append(list, "Accept-Encoding: identity");
    append(list, "Expect:"); // one round trip for each chunk, and some registries do not know it
    const bool has_type = request.headers.find("Content-Type").has_value();
    if (!has_type)
        append(list, "Content-Type:");
    return list;
}

// What every request does alike.
void set_habits(CURL* handle, const HttpRequest& request) {
    set(handle, CURLOPT_URL, request.url.text().c_str()); // libcurl copies it
    set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    set(handle, CURLOPT_FOLLOWLOCATION, 0L);
    set(handle, CURLOPT_NOSIGNAL, 1L);
    set(handle, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    set(handle, CURLOPT_USERAGENT, "vm2oci");
    set(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(handle, CURLOPT_PATH_AS_IS, 1L);
    set(handle, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE)); // no credentials for a proxy
    set(handle, CURLOPT_CONNECTTIMEOUT, kConnectTimeoutSeconds);
    set(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.stall_timeout.count()));
    set(handle, CURLOPT_BUFFERSIZE, kTransferBufferBytes);
    set(handle, CURLOPT_UPLOAD_BUFFERSIZE, kTransferBufferBytes);
    if (is_loopback(request.url.host))
        set(handle, CURLOPT_PROXY, "");
}

void set_trust(CURL* handle, const HttpRequest& request, const CurlTransportOptions& options) {
    if (options.check == CertificateCheck::skip) {
        set(handle, CURLOPT_SSL_VERIFYPEER, 0L);
        set(handle, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    // The blob takes the place of the system's bundle file; the system's folder of roots stays in force.
    if (!options.tls.extra_roots.empty()) {
        curl_blob blob{const_cast<char*>(options.tls.extra_roots.data()), options.tls.extra_roots.size(),
                       CURL_BLOB_NOCOPY};
        set(handle, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (!options.tls.client_certificate.empty() && request.url.host_and_port() == options.client_host) {
        set(handle, CURLOPT_SSLCERT, options.tls.client_certificate.c_str());
        set(handle, CURLOPT_SSLKEY, options.tls.client_key.c_str());
    }
}

void set_callbacks(CURL* handle, Exchange& exchange) {
    set(handle, CURLOPT_HEADERFUNCTION, &Exchange::on_header);
    set(handle, CURLOPT_HEADERDATA, &exchange);
    set(handle, CURLOPT_WRITEFUNCTION, &Exchange::on_body);
    set(handle, CURLOPT_WRITEDATA, &exchange);
    set(handle, CURLOPT_XFERINFOFUNCTION, &Exchange::on_progress);
    set(handle, CURLOPT_XFERINFODATA, &exchange);
    set(handle, CURLOPT_NOPROGRESS, 0L);
}

} // namespace

// Easy handles are not thread-safe and own their connections: one is taken for each exchange and put back, the most
// recently used first, so that few connections serve many exchanges.
class CurlTransport::HandlePool {
  public:
    HandlePool() { initialise_libcurl_once(); }
    ~HandlePool() {
        for (CURL* handle : idle_)
            curl_library().easy_cleanup(handle);
    }
    HandlePool(const HandlePool&) = delete;
    HandlePool& operator=(const HandlePool&) = delete;

    CURL* take() {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            CURL* handle = idle_.back();
            idle_.pop_back();
            return handle;
        }
        CURL* handle = curl_library().easy_init();
        if (handle == nullptr)
            fail(ErrorKind::io, "out of memory");
        return handle;
    }

    // After an exchange that did not come to its end: libcurl may keep what it was in the middle of, and then refuses
    // options (7.88 does so after a name that could not be resolved).
    void drop(CURL* handle) noexcept { curl_library().easy_cleanup(handle); }

    void put_back(CURL* handle) noexcept {
        curl_library().easy_reset(handle); // options go, connections stay
        const std::lock_guard lock(mutex_);
        try {
            idle_.push_back(handle);
        } catch (...) {
            curl_library().easy_cleanup(handle);
        }
    }

  private:
    std::mutex mutex_;
    std::vector<CURL*> idle_;
};

CurlTransport::CurlTransport(CurlTransportOptions options)
    : options_(std::move(options)), pool_(std::make_unique<HandlePool>()) {}

CurlTransport::~CurlTransport() = default;

HttpResponse CurlTransport::perform(const HttpRequest& request) {
    if (request.interruption == Interruption::by_cancellation)
        options_.operation.check_cancelled();
    struct Lease {
        HandlePool& pool;
        CURL* handle;
        bool is_whole = false; // the exchange came to its end
        ~Lease() { is_whole ? pool.put_back(handle) : pool.drop(handle); }
    } lease{*pool_, pool_->take()};
    CURL* handle = lease.handle;

    Exchange exchange(request, options_.operation);
    exchange.handle = handle;
    const HeaderList headers = header_lines(request);
    char message[CURL_ERROR_SIZE] = "";

    set_habits(handle, request);
    set_trust(handle, request, options_);
    set_callbacks(handle, exchange);
    set(handle, CURLOPT_HTTPHEADER, headers.get());
    set(handle, CURLOPT_ERRORBUFFER, &message[0]);
    set_method(handle, request, exchange);

    const CURLcode code = curl_library().easy_perform(handle);
    lease.is_whole = code == CURLE_OK;
    if (exchange.failure)
        std::rethrow_exception(exchange.failure);
    long status = 0;
    curl_library().easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    exchange.response.status = static_cast<int>(status);
    if (exchange.stopped_at_limit) {
        exchange.response.completeness = HttpResponse::Completeness::cut_at_limit;
        return std::move(exchange.response);
    }
    if (code == CURLE_ABORTED_BY_CALLBACK)
        options_.operation.check_cancelled();
    // A server may refuse an upload with an answer and close without reading the rest: the answer is what counts.
    if (code == CURLE_SEND_ERROR && status >= 400)
        return std::move(exchange.response);
    if (code != CURLE_OK)
        throw NetworkError(
            fault_of(code, handle),
            fmt::format("{}: {}", request.url.host_and_port(),
                        escape_untrusted(message[0] != '\0' ? &message[0] : curl_library().easy_strerror(code))));
    if (request.body != nullptr && request.on_sent && status < 300)
        request.on_sent(request.body->size()); // libcurl asks for no more when it has all
    return std::move(exchange.response);
}

} // namespace vm2oci::registry
