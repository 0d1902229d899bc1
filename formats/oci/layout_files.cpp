#include "formats/oci/layout_files.hpp"

#include "formats/base/error.hpp"
#include "formats/oci/layout_index.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <iterator>

namespace vm2oci {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxLayoutFile = 64ull * 1024; // oci-layout holds one version number

} // namespace

fs::path layout_blob_folder(const fs::path& folder) {
    return folder / "blobs" / "sha256";
}

UniqueFd open_in_layout(const fs::path& folder, const fs::path& relative) {
    UniqueFd at(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (auto part = relative.begin(); at && part != relative.end(); ++part) {
        const bool last = std::next(part) == relative.end();
        const int flags = last ? O_RDONLY | O_NONBLOCK | O_NOCTTY : O_PATH | O_DIRECTORY;
        at = UniqueFd(::openat(at.get(), part->c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
    }
    if (!at && errno != ENOENT) {
        if (errno == ELOOP || errno == ENOTDIR)
            fail(ErrorKind::unsafe, (folder / relative).string() + " is a link, which a layout may not have");
        fail_errno("cannot open " + (folder / relative).string(), errno);
    }
    struct stat status {};
    if (at && (::fstat(at.get(), &status) != 0 || !S_ISREG(status.st_mode)))
        fail(ErrorKind::unsafe, (folder / relative).string() + " is not a regular file");
    return at;
}

std::optional<std::string> read_in_layout(const fs::path& folder, const fs::path& relative, std::size_t limit) {
    const UniqueFd fd = open_in_layout(folder, relative);
    if (!fd)
        return std::nullopt;
    const std::uint64_t size = file_size(fd.get());
    if (size > limit)
        fail(ErrorKind::limit, (folder / relative).string() + " is larger than " + std::to_string(limit) + " bytes");
    std::string text(size, '\0');
    read_exactly_at(fd.get(), 0, std::as_writable_bytes(std::span(text)));
    return text;
}

fs::path layout_blob_path(const Digest& digest) {
    return fs::path("blobs") / "sha256" / digest.hex();
}

void check_layout(const fs::path& folder) {
    with_context(folder.string(), [&] {
        const std::optional<std::string> layout = read_in_layout(folder, "oci-layout", kMaxLayoutFile);
        if (!layout)
            fail(ErrorKind::not_found, "no OCI layout: there is no oci-layout file");
        check_layout_file(*layout);
    });
}

LayoutLock::LayoutLock(const fs::path& folder) {
    const fs::path path = folder / "oci-layout";
    fd_ = UniqueFd(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (!fd_)
        fd_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd_)
        fail_errno("cannot open " + path.string(), errno);
    while (::flock(fd_.get(), LOCK_EX) != 0) {
        // Shares without locks keep nobody out; the rename is atomic there, too.
        if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
            return;
        if (errno != EINTR)
            fail_errno("cannot lock " + path.string(), errno);
    }
}

} // namespace vm2oci
