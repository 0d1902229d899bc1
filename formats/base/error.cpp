#include "formats/base/error.hpp"

#include <cerrno>
#include <system_error>

namespace vm2oci {

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
    case ErrorKind::io:
        return "io";
    case ErrorKind::corrupt:
        return "corrupt";
    case ErrorKind::unsupported:
        return "unsupported";
    case ErrorKind::unsafe:
        return "unsafe";
    case ErrorKind::limit:
        return "limit";
    case ErrorKind::not_found:
        return "not_found";
    case ErrorKind::conflict:
        return "conflict";
    case ErrorKind::usage:
        return "usage";
    case ErrorKind::external:
        return "external";
    case ErrorKind::cancelled:
        return "cancelled";
    }
    return "io";
}

Error::Error(ErrorKind kind, std::string message, std::source_location where)
    : kind_(kind), message_(std::move(message)), where_(where) {
    rebuild_text();
}

void Error::add_context(std::string outer) {
    context_.insert(context_.begin(), std::move(outer));
    rebuild_text();
}

void Error::rebuild_text() {
    text_.clear();
    for (const std::string& part : context_)
        text_ += part + ": ";
    text_ += message_;
}

void fail(ErrorKind kind, std::string message, std::source_location where) {
    throw Error(kind, std::move(message), where);
}

void fail_errno(std::string what, int error_number, std::source_location where) {
    const ErrorKind kind = error_number == ENOENT ? ErrorKind::not_found : ErrorKind::io;
    throw Error(kind, what + ": " + std::generic_category().message(error_number), where);
}

} // namespace vm2oci
