#include "formats/xfs/volume.hpp"

#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace vm2oci::xfs {
namespace {

constexpr std::uint64_t kWindowBytes = 32 * KiB; // what the kernel allocates inodes in
constexpr std::size_t kMaxWindows = 256;         // 8 MiB

} // namespace

const Volume::Window& Volume::window_at(std::uint64_t begin) const {
    if (const auto found = places_.find(begin); found != places_.end()) {
        windows_.splice(windows_.begin(), windows_, found->second);
        return windows_.front();
    }
    Window window{begin, {}};
    window.bytes.resize(static_cast<std::size_t>(std::min(kWindowBytes, device_->size() - begin)));
    device_->read_at(begin, window.bytes);
    if (windows_.size() == kMaxWindows) {
        places_.erase(windows_.back().begin);
        windows_.pop_back();
    }
    windows_.push_front(std::move(window));
    places_[begin] = windows_.begin();
    return windows_.front();
}

void Volume::read(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*device_, offset, buffer.size());
    while (!buffer.empty()) {
        const std::uint64_t within = offset % kWindowBytes;
        const std::size_t step =
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), kWindowBytes - within));
        const Window& window = window_at(offset - within);
        std::copy_n(window.bytes.begin() + static_cast<std::ptrdiff_t>(within), step, buffer.begin());
        buffer = buffer.subspan(step);
        offset += step;
    }
}

void Volume::check_sum(std::span<const std::byte> bytes, std::uint64_t offset, std::size_t at,
                       std::string_view what) const {
    if (!is_v5() || (replayed_ && replayed_->is_changed(offset, bytes.size())))
        return;
    constexpr std::array<std::byte, 4> kBlank{};
    std::uint32_t sum = crc32c(bytes.first(at));
    sum = crc32c(kBlank, sum);
    sum = crc32c(bytes.subspan(at + kBlank.size()), sum);
    if (sum != load_le<std::uint32_t>(bytes.data() + at))
        fail(ErrorKind::corrupt, fmt::format("the checksum of {} of the xfs file system is wrong", what));
}

void Volume::check_header(std::span<const std::byte> bytes, std::uint64_t offset, const HeaderPlaces& places,
                          std::uint64_t owner, std::string_view what) const {
    if (!is_v5())
        return;
    check_sum(bytes, offset, places.checksum, what);
    if (std::memcmp(bytes.data() + places.uuid, geometry_.metadata_uuid.data(), geometry_.metadata_uuid.size()) != 0)
        fail(ErrorKind::corrupt, fmt::format("{} belongs to another xfs file system", what));
    if (places.address != 0 && load_be<std::uint64_t>(bytes.data() + places.address) != offset / kSectorOfAddresses)
        fail(ErrorKind::corrupt, fmt::format("{} of the xfs file system lies in another's place", what));
    const bool is_owned = places.owner_width == HeaderPlaces::OwnerWidth::none ||
                          (places.owner_width == HeaderPlaces::OwnerWidth::narrow
                               ? load_be<std::uint32_t>(bytes.data() + places.owner) == owner
                               : load_be<std::uint64_t>(bytes.data() + places.owner) == owner);
    if (!is_owned)
        fail(ErrorKind::corrupt, fmt::format("{} of the xfs file system belongs to another owner", what));
}

} // namespace vm2oci::xfs
