#include "formats/base/private_cache.hpp"

#include "formats/base/fd.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace vm2oci {
namespace fs = std::filesystem;
namespace {

constexpr ::mode_t kOthersMayWrite = S_IWGRP | S_IWOTH;

UniqueFd open_own_file(const fs::path& path, std::size_t most_bytes) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status {};
    const bool is_own = fd && ::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                        status.st_uid == ::geteuid() && (status.st_mode & kOthersMayWrite) == 0 &&
                        static_cast<std::uint64_t>(status.st_size) <= most_bytes;
    return is_own ? std::move(fd) : UniqueFd();
}

fs::path environment_path(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? fs::path() : fs::path(value);
}

} // namespace

std::optional<std::vector<std::byte>> PrivateCache::find(const std::string& name) const {
    if (folder_.empty())
        return std::nullopt;
    const UniqueFd fd = open_own_file(folder_ / name, limits_.bytes_in_file);
    if (!fd)
        return std::nullopt;
    std::vector<std::byte> bytes(file_size(fd.get()));
    bytes.resize(read_at(fd.get(), 0, bytes));
    return bytes;
}

void PrivateCache::keep(std::span<const Entry> entries) const {
    if (folder_.empty() || entries.empty())
        return;
    try {
        fs::create_directories(folder_);
        fs::permissions(folder_, fs::perms::owner_all);
        for (const Entry& entry : entries) {
            if (entry.bytes.size() > limits_.bytes_in_file)
                continue;
            TemporaryFile file(folder_);
            write_exactly(file.fd(), entry.bytes);
            file.publish(folder_ / entry.name, 0600);
        }
        forget_oldest();
    } catch (const std::exception&) {
        // No home, a full disk, a read-only system: the next run finds out anew what it could have known.
    }
}

void PrivateCache::forget_oldest() const {
    std::vector<std::pair<fs::file_time_type, fs::path>> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_))
        files.emplace_back(entry.last_write_time(), entry.path());
    if (files.size() <= limits_.files)
        return;
    std::ranges::sort(files);
    for (std::size_t i = 0; i < files.size() - limits_.files; ++i)
        fs::remove(files[i].second);
}

fs::path user_cache_folder(const char* name) {
    if (const fs::path cache = environment_path("XDG_CACHE_HOME"); cache.is_absolute())
        return cache / "vm2oci" / name;
    const fs::path home = environment_path("HOME");
    return home.empty() ? fs::path() : home / ".cache/vm2oci" / name;
}

} // namespace vm2oci
