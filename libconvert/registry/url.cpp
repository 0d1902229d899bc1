#include "libconvert/registry/url.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/registry/curl_library.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace vm2oci::registry {
namespace {

struct UrlDeleter {
    void operator()(CURLU* handle) const { curl_library().url_cleanup(handle); }
};
using UrlHandle = std::unique_ptr<CURLU, UrlDeleter>;

std::string part(CURLU* handle, CURLUPart which, unsigned flags = 0) {
    char* text = nullptr;
    if (curl_library().url_get(handle, which, &text, flags) != CURLUE_OK)
        return {};
    std::string result(text);
    curl_library().free(text);
    return result;
}

bool has_control_or_space(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; });
}

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
    fail(ErrorKind::external, fmt::format("the address {} {}", quote_untrusted(text), why));
}

Url from_handle(CURLU* handle, std::string_view text) {
    // A name and a password in an address would end up in logs, and a server could make us send them elsewhere.
    if (!part(handle, CURLUPART_USER).empty() || !part(handle, CURLUPART_PASSWORD).empty())
        refuse("(not shown)", "carries a user name or a password");
    Url url;
    url.scheme = part(handle, CURLUPART_SCHEME);
    if (url.scheme != "https" && url.scheme != "http")
        refuse(text, "is neither https nor http");
    url.host = part(handle, CURLUPART_HOST);
    std::ranges::transform(url.host, url.host.begin(),
                           [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
    if (url.host.empty())
        refuse(text, "names no host");
    const std::string port = part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (error != std::errc() || end != port.data() + port.size())
        refuse(text, "has no usable port");
    url.path_and_query = part(handle, CURLUPART_PATH);
    if (const std::string query = part(handle, CURLUPART_QUERY); !query.empty())
        url.path_and_query += "?" + query;
    return url;
}

UrlHandle new_handle() {
    UrlHandle handle(curl_library().url());
    if (!handle)
        fail(ErrorKind::io, "out of memory");
    return handle;
}

} // namespace

std::string Url::host_and_port() const {
    const bool usual = (scheme == "https" && port == 443) || (scheme == "http" && port == 80);
    return usual ? host : fmt::format("{}:{}", host, port);
}

std::string Url::text() const {
    return fmt::format("{}://{}{}", scheme, host_and_port(), path_and_query);
}

bool Url::same_origin(const Url& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
}

Url parse_url(std::string_view text) {
    if (has_control_or_space(text))
        refuse(text, "contains a space or a control character");
    const UrlHandle handle = new_handle();
    if (curl_library().url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK)
        refuse(text, "is not an https or http address");
    return from_handle(handle.get(), text);
}

Url resolve_url(const Url& base, std::string_view location) {
    if (location.empty() || has_control_or_space(location))
        refuse(location, "is not a usable Location");
    const UrlHandle handle = new_handle();
    if (curl_library().url_set(handle.get(), CURLUPART_URL, base.text().c_str(), 0) != CURLUE_OK ||
        curl_library().url_set(handle.get(), CURLUPART_URL, std::string(location).c_str(), 0) != CURLUE_OK)
        refuse(location, "is not a usable Location");
    return from_handle(handle.get(), location);
}

Url with_query(Url url, std::string_view name, std::string_view value) {
    url.path_and_query += url.path_and_query.find('?') == std::string::npos ? '?' : '&';
    url.path_and_query += percent_encode(name) + "=" + percent_encode(value);
    return url;
}

std::string percent_encode(std::string_view text) {
    static constexpr std::string_view kUnreserved =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    std::string result;
    for (const char c : text) {
        if (kUnreserved.find(c) != std::string_view::npos)
            result += c;
        else
            result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return result;
}

bool is_loopback(std::string_view host) {
    if (host == "localhost" || host == "[::1]" || host == "::1" || host.ends_with(".localhost"))
        return true;
    if (!host.starts_with("127."))
        return false;
    return std::ranges::all_of(host, [](char c) { return (c >= '0' && c <= '9') || c == '.'; }) &&
           std::ranges::count(host, '.') == 3;
}

} // namespace vm2oci::registry
