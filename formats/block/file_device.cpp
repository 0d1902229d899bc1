#include "formats/block/file_device.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace vm2oci {

FileDevice::FileDevice(UniqueFd fd, const std::filesystem::path& name)
    : fd_(std::move(fd)), name_(escape_untrusted(name.string())), size_(file_size(fd_.get())) {}

void FileDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    const std::size_t read = with_context(name_, [&] { return vm2oci::read_at(fd_.get(), offset, buffer); });
    if (read != buffer.size())
        fail(ErrorKind::io, name_ + " became shorter while it was read; try again when nothing writes to it");
}

Extent FileDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    const std::lock_guard lock(mutex_);
    if (offset < current_.begin || offset >= current_.end)
        current_ = find_run(offset);
    return {current_.end - offset, current_.kind};
}

FileDevice::Run FileDevice::find_run(std::uint64_t offset) const {
    const auto seek = [&](int whence) { return ::lseek(fd_.get(), static_cast<off_t>(offset), whence); };
    const off_t data = seek(SEEK_DATA);
    if (data < 0) {
        // ENXIO: nothing but a hole up to the end. Anything else: a file system or device without an answer.
        return {offset, size_, errno == ENXIO ? ExtentKind::unallocated : ExtentKind::data};
    }
    const auto data_begin = static_cast<std::uint64_t>(data);
    if (data_begin > offset)
        return {offset, std::min(data_begin, size_), ExtentKind::unallocated};
    const off_t hole = seek(SEEK_HOLE);
    if (hole < 0 || static_cast<std::uint64_t>(hole) <= offset)
        return {offset, size_, ExtentKind::data};
    return {offset, std::min(static_cast<std::uint64_t>(hole), size_), ExtentKind::data};
}

} // namespace vm2oci
