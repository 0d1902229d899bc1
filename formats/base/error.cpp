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

// NOLINTNEXTLINE(readability-function-size): a table, of which the compiler sees that it is whole
std::string_view to_string(HintKind kind) {
    switch (kind) {
    case HintKind::none:
        break;
    case HintKind::allow_truncated:
        return "allow-truncated";
    case HintKind::allow_corrupt:
        return "allow-corrupt";
    case HintKind::allow_in_use:
        return "allow-in-use";
    case HintKind::backing:
        return "backing";
    case HintKind::data_file:
        return "data-file";
    case HintKind::extent:
        return "extent";
    case HintKind::max_virtual_size:
        return "max-virtual-size";
    case HintKind::architecture:
        return "architecture";
    case HintKind::root:
        return "root";
    case HintKind::key:
        return "key";
    case HintKind::guest_backend:
        return "guest-backend";
    case HintKind::scratch_folder:
        return "scratch-folder";
    case HintKind::further_disk:
        return "further-disk";
    case HintKind::one_disk:
        return "one-disk";
    case HintKind::chunked:
        return "chunked";
    case HintKind::disk_format:
        return "disk-format";
    case HintKind::size:
        return "size";
    case HintKind::layers:
        return "layers";
    case HintKind::krun_root:
        return "krun-root";
    case HintKind::read_only_root:
        return "read-only-root";
    case HintKind::minimal_kernel:
        return "minimal-kernel";
    case HintKind::other_kernel:
        return "other-kernel";
    case HintKind::guest_kernel:
        return "guest-kernel";
    case HintKind::login:
        return "login";
    case HintKind::other_login:
        return "other-login";
    case HintKind::certificate:
        return "certificate";
    case HintKind::plain_http:
        return "plain-http";
    case HintKind::user_data:
        return "user-data";
    case HintKind::ssh_key:
        return "ssh-key";
    case HintKind::without_cloud_init:
        return "without-cloud-init";
    case HintKind::agent_package:
        return "agent-package";
    case HintKind::further_agent:
        return "further-agent";
    case HintKind::accelerator:
        return "accelerator";
    }
    return "";
}

Error::Error(ErrorKind kind, std::string message, std::source_location where)
    : Error(kind, std::move(message), Hint(), where) {}

Error::Error(ErrorKind kind, std::string message, Hint hint, std::source_location where)
    : kind_(kind), message_(std::move(message)), hint_(std::move(hint)), where_(where) {
    rebuild_text();
}

void Error::add_context(std::string outer) {
    context_.insert(context_.begin(), std::move(outer));
    rebuild_text();
}

void Error::suggest(Hint hint) {
    if (hint_.kind == HintKind::none)
        hint_ = std::move(hint);
}

void Error::complete_hint(HintKind kind, const std::string& argument) {
    if (hint_.kind == kind && hint_.argument.empty())
        hint_.argument = argument;
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

void fail(ErrorKind kind, std::string message, Hint hint, std::source_location where) {
    throw Error(kind, std::move(message), std::move(hint), where);
}

void fail_errno(const std::string& what, int error_number, std::source_location where) {
    const ErrorKind kind = error_number == ENOENT ? ErrorKind::not_found : ErrorKind::io;
    // The one of these limits that nobody thinks of: `ulimit -f`, which some services and login shells set.
    const char* const more = error_number == EFBIG ? ": this process, or the file system, allows no larger files" : "";
    throw Error(kind, what + ": " + std::generic_category().message(error_number) + more, where);
}

} // namespace vm2oci
