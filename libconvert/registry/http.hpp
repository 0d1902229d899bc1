// One HTTP exchange, and who performs it. Redirects, credentials and retries are decided above this level.
#pragma once

#include "formats/base/error.hpp"
#include "formats/base/sink.hpp"
#include "formats/base/size.hpp"
#include "formats/block/block_device.hpp"
#include "libconvert/registry/url.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci::registry {

enum class HttpMethod { get, head, post, put, patch, remove };
std::string_view to_string(HttpMethod method); // "GET", …, "DELETE"

// In order; names compare without case.
class HttpHeaders {
  public:
    void add(std::string name, std::string value);
    // The first of that name.
    std::optional<std::string> find(std::string_view name) const;
    std::vector<std::string> find_all(std::string_view name) const;
    const std::vector<std::pair<std::string, std::string>>& entries() const { return entries_; }

  private:
    std::vector<std::pair<std::string, std::string>> entries_;
};

// What a request carries. Can be read again, since a request may have to be sent again.
class HttpBody {
  public:
    virtual ~HttpBody() = default;
    virtual std::uint64_t size() const = 0;
    virtual void read_at(std::uint64_t offset, std::span<std::byte> buffer) const = 0;
};

class BytesBody final : public HttpBody {
  public:
    explicit BytesBody(std::span<const std::byte> bytes) : bytes_(bytes) {} // not owned
    std::uint64_t size() const override { return bytes_.size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;

  private:
    std::span<const std::byte> bytes_;
};

class DeviceBody final : public HttpBody {
  public:
    // Bytes [offset, offset + length) of `device`, which is not owned.
    DeviceBody(const BlockDevice& device, std::uint64_t offset, std::uint64_t length)
        : device_(device), offset_(offset), length_(length) {}
    std::uint64_t size() const override { return length_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;

  private:
    const BlockDevice& device_;
    std::uint64_t offset_;
    std::uint64_t length_;
};

struct HttpResponse {
    int status = 0;
    HttpHeaders headers;
    std::string body; // what went to no sink, at most HttpRequest::body_limit
    enum class Completeness { whole, cut_at_limit } completeness = Completeness::whole;
};

// Whether a cancelled operation ends the request. What tidies up after a cancellation runs to its end, with little
// patience.
enum class Interruption { by_cancellation, never };

inline constexpr std::size_t kErrorBodyLimit = 64 * KiB; // an error document is a few hundred bytes
inline constexpr std::chrono::seconds kStallTimeout{60};

struct HttpRequest {
    HttpMethod method = HttpMethod::get;
    Url url;
    HttpHeaders headers;
    const HttpBody* body = nullptr; // not owned
    std::size_t body_limit = kErrorBodyLimit;
    // Called once with status and headers: where the body goes; null: into HttpResponse::body, up to body_limit.
    std::function<ByteSink*(const HttpResponse&)> choose_sink;
    // Called with the bytes of the request's body that have been handed to the network, ascending.
    std::function<void(std::uint64_t)> on_sent;
    // No byte in either direction for that long ends the request.
    std::chrono::seconds stall_timeout = kStallTimeout;
    Interruption interruption = Interruption::by_cancellation;
};

enum class NetworkFault {
    unreachable,   // no such host, nobody listens
    tls_handshake, // the other side does not speak TLS, or not ours
    tls_untrusted, // its certificate is not trusted
    tls_expired,   // … any more, or not yet
    tls_elsewhere, // its certificate is trusted, for another name
    dropped,       // the connection ended early
    stalled,       // nothing came for too long
    protocol,      // it is not HTTP
};

// The exchange did not come to its end. Nothing is known about what the server did.
class NetworkError final : public Error {
  public:
    NetworkError(NetworkFault fault, std::string message, std::source_location where = std::source_location::current())
        : Error(ErrorKind::io, std::move(message), where), fault_(fault) {}
    NetworkFault fault() const { return fault_; }

  private:
    NetworkFault fault_;
};

// Performs single exchanges, does not follow redirects. Thread-safe. NetworkError when no whole answer came; what a
// sink or a body throws comes through unchanged; Error{cancelled}.
class HttpTransport {
  public:
    virtual ~HttpTransport() = default;
    virtual HttpResponse perform(const HttpRequest& request) = 0;
};

} // namespace vm2oci::registry
