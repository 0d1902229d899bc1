#include "formats/base/system_error.hpp"

#include "formats/base/escape.hpp"

#include <filesystem>

namespace vm2oci {

Error refused_by_system(const std::system_error& error) {
    const std::string reason = error.code().message();
    if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&error))
        return {ErrorKind::io, "cannot access " + escape_untrusted(file->path1().string()) + ": " + reason};
    // Of what the library is used for, only std::thread says so.
    if (error.code() == std::errc::resource_unavailable_try_again)
        return {ErrorKind::io,
                "cannot start a thread: the user, or the container, may have no more of them: " + reason};
    return {ErrorKind::io, "the operating system refused: " + escape_untrusted(error.what())};
}

} // namespace vm2oci
