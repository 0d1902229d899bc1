#include "formats/base/folder_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <thread>

namespace vm2oci {

FolderLock::FolderLock(const std::filesystem::path& folder, const OperationContext& operation,
                       std::chrono::milliseconds patience)
    : fd_(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    constexpr std::chrono::milliseconds kStep{5};
    const auto end = std::chrono::steady_clock::now() + patience;
    while (fd_ && ::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || std::chrono::steady_clock::now() >= end)
            return;
        operation.check_cancelled();
        std::this_thread::sleep_for(kStep);
    }
}

} // namespace vm2oci
