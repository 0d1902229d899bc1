// A disk with some pages changed in memory: what a log says that its last writer did not get to write.
#pragma once

#include "formats/base/size.hpp"
#include "formats/block/block_device.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

namespace vm2oci {

// Changes come first, from one thread; then it is a disk like any other.
class PatchedDevice final : public BlockDevice {
  public:
    static constexpr std::uint64_t kPageBytes = 4 * KiB;
    using Page = std::array<std::byte, kPageBytes>;

    // `size` none less than the base's; what lies behind the base's end is unallocated.
    PatchedDevice(std::shared_ptr<const BlockDevice> base, std::uint64_t size);

    // Offsets and lengths are multiples of pages, within the size. Later changes replace earlier ones.
    void write_page(std::uint64_t offset, const Page& page);
    void zero(std::uint64_t offset, std::uint64_t length);

    std::uint64_t size() const override { return size_; }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    enum class Source { page, zero, base, beyond };
    struct Run {
        Source source;
        std::uint64_t end;
        const Page* page = nullptr;
    };
    Run run_at(std::uint64_t offset) const;

    std::shared_ptr<const BlockDevice> base_;
    std::uint64_t size_;
    std::map<std::uint64_t, Page> pages_;          // by offset
    std::map<std::uint64_t, std::uint64_t> zeros_; // begin to end, apart; pages lie over them
};

} // namespace vm2oci
