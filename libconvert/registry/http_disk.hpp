// A disk that a web server has, read by ranges (RFC 9110, section 14).
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"
#include "libconvert/registry/http.hpp"
#include "libconvert/registry/open_registry.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace vm2oci::registry {

// Whether a reference is one: "http://", "https://".
bool is_http_url(std::string_view text);

// Of a server that answers ranges, what is asked for, a MiB at least, of which some stay in memory. Of another the
// whole file, at most `max_size` bytes of it, in a scratch file. Redirects are followed, but never from https to http.
// What changes on the server while it is read is Error{io}; so is a server that cannot be reached, or answers something
// else than the file (Error{not_found} for 404 and 410). Of `operation`, progress, cancellation and scratch folder are
// used during the object's whole life. Thread-safe.
std::shared_ptr<const BlockDevice> open_http_disk(const std::string& url, std::shared_ptr<HttpTransport> transport,
                                                  std::uint64_t max_size, const OperationContext& operation);

// The same with TLS, certificates and proxies as for registries (RegistryOptions).
std::shared_ptr<const BlockDevice> open_http_disk(const std::string& url, const RegistryOptions& options,
                                                  std::uint64_t max_size, const OperationContext& operation);

} // namespace vm2oci::registry
