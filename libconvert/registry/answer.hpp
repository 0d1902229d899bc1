// What a registry said, in one line that is safe to print.
#pragma once

#include "libconvert/registry/http.hpp"

#include <string>
#include <string_view>

namespace vm2oci::registry {

// "DENIED: requested access to the resource is denied" from the error document of the distribution specification; the
// beginning of anything else, said to be what it is (HTML, text). Escaped. Empty when the body says nothing.
std::string explain_body(const HttpResponse& response);

// Throws for an answer that is not what was needed: "registry:5000 answered 403: DENIED: …". 404 is not_found, the rest
// external.
[[noreturn]] void fail_answer(std::string_view host, const HttpResponse& response,
                              std::source_location where = std::source_location::current());

// Unpacks the body of a JSON answer that comes gzip'd, though nobody asked for that. A blob is never touched: its own
// compression is part of it, whatever a server calls it. Error{corrupt}; Error{limit} beyond `limit` bytes.
void undo_content_encoding(HttpResponse& response, std::size_t limit);

} // namespace vm2oci::registry
