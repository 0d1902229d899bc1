// HTTP addresses as parts. Parsing is libcurl's own, so that what is checked here is what is connected to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vm2oci::registry {

struct Url {
    std::string scheme; // "https" or "http", lower case
    std::string host;   // lower case; an IPv6 address keeps its brackets
    std::uint16_t port = 0;
    std::string path_and_query; // begins with '/', percent-encoded, no fragment

    std::string text() const;
    // "host" or, where the port is not the scheme's own, "host:port".
    std::string host_and_port() const;
    // Scheme, host and port are equal: the rule by which credentials may be sent.
    bool same_origin(const Url& other) const;

    bool operator==(const Url&) const = default;
};

// Error{external} for what is not an http or https address, and for addresses that carry a user name or a password.
Url parse_url(std::string_view text);

// A Location header, absolute or relative to `base`. Error{external} as above.
Url resolve_url(const Url& base, std::string_view location);

// With "name=value" added to the query; both are percent-encoded.
Url with_query(Url url, std::string_view name, std::string_view value);

// Everything but unreserved characters (RFC 3986) becomes %XX.
std::string percent_encode(std::string_view text);

// localhost, 127.0.0.0/8 and [::1]: hosts whose traffic does not leave the machine.
bool is_loopback(std::string_view host);

} // namespace vm2oci::registry
