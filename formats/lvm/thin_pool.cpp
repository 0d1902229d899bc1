#include "formats/lvm/thin_pool.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace vm2oci::lvm {
namespace {

constexpr std::uint64_t kPoolMagic = 27022010;
constexpr std::uint32_t kSuperSalt = 160774;
constexpr std::uint32_t kNewestVersion = 2;
constexpr unsigned kTimeBits = 24; // below the number of a block in a mapping

struct Run {
    std::uint64_t length;                     // in bytes of the volume, at least 1
    std::optional<std::uint64_t> data_offset; // none: not provisioned
};

class ThinDevice final : public BlockDevice {
  public:
    ThinDevice(std::shared_ptr<const ThinNodes> nodes, std::uint64_t root, std::shared_ptr<const BlockDevice> data,
               std::uint64_t chunk, std::uint64_t size, std::shared_ptr<const BlockDevice> origin)
        : nodes_(std::move(nodes)), root_(root), data_(std::move(data)), chunk_(chunk), size_(size),
          origin_(std::move(origin)) {}

    std::uint64_t size() const override { return size_; }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        while (!buffer.empty()) {
            const Run run = find(offset);
            const auto part =
                buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(run.length, buffer.size())));
            if (run.data_offset)
                data_->read_at(*run.data_offset, part);
            else
                read_unprovisioned(offset, part);
            buffer = buffer.subspan(part.size());
            offset += part.size();
        }
    }

    Extent extent_at(std::uint64_t offset) const override {
        check_range(*this, offset, 1);
        const Run run = find(offset);
        if (run.data_offset) {
            Extent extent = data_->extent_at(*run.data_offset);
            extent.length = std::min(extent.length, run.length);
            return extent;
        }
        if (!origin_ || offset >= origin_->size())
            return {run.length, ExtentKind::unallocated};
        Extent extent = origin_->extent_at(offset);
        extent.length = std::min(extent.length, run.length);
        return extent;
    }

  private:
    void read_unprovisioned(std::uint64_t offset, std::span<std::byte> part) const {
        std::size_t from_origin = 0;
        if (origin_ && offset < origin_->size())
            from_origin = static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), origin_->size() - offset));
        if (from_origin != 0)
            origin_->read_at(offset, part.first(from_origin));
        std::fill(part.begin() + static_cast<std::ptrdiff_t>(from_origin), part.end(), std::byte{0});
    }

    // Blocks of the pool that follow each other are one run.
    Run find(std::uint64_t offset) const {
        const std::uint64_t block = offset / chunk_;
        const std::uint64_t within = offset % chunk_;
        const ThinPlace place = find_in_thin_tree(*nodes_, root_, block, 8);
        const std::vector<std::uint64_t>& keys = place.leaf->keys;
        if (!place.is_exact(block)) {
            std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
            if (place.next < keys.size())
                end = keys[place.next];
            else if (place.has_limit)
                end = place.limit;
            if (end <= block)
                fail(ErrorKind::corrupt, "the pool's metadata is out of order");
            return {length_up_to(end, offset), std::nullopt};
        }
        const std::uint64_t first = place.leaf->value(place.next) >> kTimeBits;
        std::uint64_t count = 1;
        while (place.next + count < keys.size() && keys[place.next + count] == block + count &&
               place.leaf->value(place.next + count) >> kTimeBits == first + count)
            ++count;
        const std::uint64_t begin = checked_multiply(first, chunk_, "thin block");
        if (begin > data_->size() || data_->size() - begin < checked_multiply(count, chunk_, "thin block"))
            fail(ErrorKind::corrupt, "a block of a thin volume lies outside of its pool");
        return {length_up_to(block + count, offset), begin + within};
    }

    std::uint64_t length_up_to(std::uint64_t end_block, std::uint64_t offset) const {
        std::uint64_t end = 0;
        if (__builtin_mul_overflow(end_block, chunk_, &end))
            end = size_;
        return std::min(end, size_) - offset;
    }

    std::shared_ptr<const ThinNodes> nodes_;
    std::uint64_t root_;
    std::shared_ptr<const BlockDevice> data_;
    std::uint64_t chunk_;
    std::uint64_t size_;
    std::shared_ptr<const BlockDevice> origin_;
};

} // namespace

ThinPool::ThinPool(const std::shared_ptr<const BlockDevice>& metadata, std::shared_ptr<const BlockDevice> data,
                   std::uint64_t chunk, std::uint64_t transaction)
    : nodes_(std::make_shared<ThinNodes>(metadata)), data_(std::move(data)), chunk_(chunk) {
    std::array<std::byte, kThinBlock> super;
    if (metadata->size() < super.size())
        fail(ErrorKind::corrupt, "its pool's metadata is cut");
    metadata->read_at(0, super);
    const auto number = [&](std::size_t at) { return load_le<std::uint64_t>(super.data() + at); };
    const auto word = [&](std::size_t at) { return load_le<std::uint32_t>(super.data() + at); };
    if (number(32) != kPoolMagic || word(0) != thin_checksum(super, kSuperSalt) || number(8) != 0)
        fail(ErrorKind::corrupt, "its pool's metadata is damaged; thin_repair(8) may mend it in the machine");
    if (word(40) == 0 || word(40) > kNewestVersion || word(360) != 0)
        fail(ErrorKind::unsupported, "its pool's metadata is of a form that is not known (version " +
                                         std::to_string(word(40)) + ", " + std::to_string(word(360)) + ")");
    if (number(48) != transaction)
        fail(ErrorKind::corrupt, "its pool's metadata is of transaction " + std::to_string(number(48)) +
                                     ", and LVM's is of " + std::to_string(transaction));
    if (std::uint64_t{word(336)} * 512 != chunk || chunk == 0 || std::uint64_t{word(340)} * 512 != kThinBlock)
        fail(ErrorKind::corrupt, "its pool's metadata has blocks of another size than LVM says");
    mapping_root_ = number(320);
}

std::shared_ptr<const BlockDevice> ThinPool::open(std::uint64_t id, std::uint64_t size,
                                                  std::shared_ptr<const BlockDevice> origin) const {
    const ThinPlace place = find_in_thin_tree(*nodes_, mapping_root_, id, 8);
    if (!place.is_exact(id))
        fail(ErrorKind::corrupt, "its pool has no volume " + std::to_string(id));
    const std::uint64_t root = place.leaf->value(place.next);
    nodes_->read(root); // a pool whose map is gone is told at once
    return std::make_shared<ThinDevice>(nodes_, root, data_, chunk_, size, std::move(origin));
}

} // namespace vm2oci::lvm
