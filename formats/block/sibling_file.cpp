#include "formats/block/sibling_file.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/block/open_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace vm2oci {

SiblingFile open_sibling_file(const std::filesystem::path& path, const DiskPolicy& policy) {
    UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file && errno == ENOENT)
        return {nullptr, "is not beside it"};
    if (!file && errno == ELOOP)
        return {nullptr, "is a link"};
    if (!file)
        fail_errno("cannot open " + escape_untrusted(path.string()), errno);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0)
        fail_errno("cannot look at " + escape_untrusted(path.string()), errno);
    if (!S_ISREG(status.st_mode))
        return {nullptr, "is no regular file"};
    return {
        with_context(escape_untrusted(path.string()), [&] { return adopt_disk_file(std::move(file), path, policy); }),
        ""};
}

} // namespace vm2oci
