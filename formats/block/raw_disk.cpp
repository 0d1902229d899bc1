#include "formats/block/raw_disk.hpp"

#include "formats/base/checked.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

class PaddedDevice final : public BlockDevice {
  public:
    explicit PaddedDevice(std::shared_ptr<const BlockDevice> container)
        : container_(std::move(container)), stored_(container_->size()),
          size_(align_up(stored_, kSectorBytes, "disk size")) {}

    std::uint64_t size() const override { return size_; }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        const std::uint64_t readable = offset < stored_ ? stored_ - offset : 0;
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(readable, buffer.size()));
        if (count != 0)
            container_->read_at(offset, buffer.first(count));
        std::ranges::fill(buffer.subspan(count), std::byte{0});
    }

    Extent extent_at(std::uint64_t offset) const override {
        check_range(*this, offset, 1);
        if (offset >= stored_)
            return {size_ - offset, ExtentKind::zero};
        return container_->extent_at(offset);
    }

  private:
    std::shared_ptr<const BlockDevice> container_;
    std::uint64_t stored_; // what the container holds; less than a sector short of size_
    std::uint64_t size_;
};

} // namespace

std::shared_ptr<const BlockDevice> make_raw_disk(std::shared_ptr<const BlockDevice> container) {
    if (container->size() % kSectorBytes == 0)
        return container;
    return std::make_shared<PaddedDevice>(std::move(container));
}

} // namespace vm2oci
