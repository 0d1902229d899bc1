#include "formats/base/error.hpp"

#include "formats/base/version.hpp"

#include <vm2oci/error.hpp>
#include <vm2oci/version.hpp>

#include <utility>

namespace vm2oci::v0 {

std::string_view to_string(ErrorKind kind) {
    return vm2oci::to_string(static_cast<vm2oci::ErrorKind>(kind));
}

Error::Error(ErrorKind kind, std::string message, std::vector<std::string> context, Hint hint)
    : kind_(kind), message_(std::move(message)), context_(std::move(context)), hint_(std::move(hint)) {
    for (const std::string& part : context_)
        text_ += part + ": ";
    text_ += message_;
}

Error::Error(const Error&) = default;
Error& Error::operator=(const Error&) = default;
Error::~Error() = default;

const char* Error::what() const noexcept {
    return text_.c_str();
}

std::string_view version() {
    return vm2oci::version();
}

int schema_version() {
    return kSchemaVersion;
}

} // namespace vm2oci::v0
