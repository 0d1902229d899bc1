#include "libconvert/copy/frame_index_cache.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace vm2oci {
namespace fs = std::filesystem;
namespace {

constexpr ::mode_t kOthersMayWrite = S_IWGRP | S_IWOTH;

// An index is believed, so it must be this user's: a folder that others may write to could hold anything.
UniqueFd open_own_file(const fs::path& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat status {};
    const bool is_own = fd && ::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                        status.st_uid == ::geteuid() && (status.st_mode & kOthersMayWrite) == 0 &&
                        static_cast<std::uint64_t>(status.st_size) <= kMaxIndexBytes;
    return is_own ? std::move(fd) : UniqueFd();
}

fs::path environment_path(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? fs::path() : fs::path(value);
}

} // namespace

std::optional<FrameIndex> FrameIndexCache::find(const Digest& layer) const {
    if (folder_.empty())
        return std::nullopt;
    const UniqueFd fd = open_own_file(folder_ / layer.hex());
    if (!fd)
        return std::nullopt;
    std::vector<std::byte> bytes(file_size(fd.get()));
    bytes.resize(read_at(fd.get(), 0, bytes));
    return parse_frame_index(bytes, layer.text());
}

void FrameIndexCache::keep(std::span<const StoredLayer> layers) const {
    const bool has_index =
        std::any_of(layers.begin(), layers.end(), [](const StoredLayer& layer) { return !layer.index.frames.empty(); });
    if (folder_.empty() || !has_index)
        return;
    try {
        fs::create_directories(folder_);
        fs::permissions(folder_, fs::perms::owner_all);
        for (const StoredLayer& layer : layers) {
            const Digest& digest = layer.descriptor.digest;
            const std::vector<std::byte> bytes = serialise_frame_index(layer.index, digest.text());
            if (layer.index.frames.empty() || bytes.size() > kMaxIndexBytes)
                continue;
            TemporaryFile file(folder_);
            write_exactly(file.fd(), bytes);
            file.publish(folder_ / digest.hex(), 0600);
        }
        forget_oldest();
    } catch (const std::exception&) {
        // No home, a full disk, a read-only system: the next conversion decodes what it could have known.
    }
}

void FrameIndexCache::forget_oldest() const {
    std::vector<std::pair<fs::file_time_type, fs::path>> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_))
        files.emplace_back(entry.last_write_time(), entry.path());
    if (files.size() <= kMaxIndexedLayers)
        return;
    std::ranges::sort(files);
    for (std::size_t i = 0; i < files.size() - kMaxIndexedLayers; ++i)
        fs::remove(files[i].second);
}

fs::path user_frame_cache() {
    if (const fs::path cache = environment_path("XDG_CACHE_HOME"); cache.is_absolute())
        return cache / "vm2oci/frames";
    const fs::path home = environment_path("HOME");
    return home.empty() ? fs::path() : home / ".cache/vm2oci/frames";
}

} // namespace vm2oci
