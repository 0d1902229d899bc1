// A disk that is told by its name when something in it is wrong: what lies in several files, or behind others, is read
// as one device.
#pragma once

#include "formats/block/block_device.hpp"

#include <memory>
#include <string>

namespace vm2oci {

class NamedDevice final : public BlockDevice {
  public:
    // `name` is escaped; it stands in front of every Error that comes from `disk`, unless it does already.
    NamedDevice(std::shared_ptr<const BlockDevice> disk, std::string name);

    std::uint64_t size() const override { return disk_->size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    template <class Body>
    decltype(auto) named(Body&& body) const;

    std::shared_ptr<const BlockDevice> disk_;
    std::string name_;
};

} // namespace vm2oci
