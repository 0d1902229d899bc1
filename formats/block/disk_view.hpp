// A disk as a command goes on with it: a source as it was opened, or what edits made of it.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/open_disk.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace vm2oci {

// A value over devices that never change: what is changed is another device, over the source's.
class DiskView {
  public:
    // The source itself.
    DiskView(OpenedDisk source) : device_(source.device), source_(std::move(source)) {}
    // A disk that was made, of no source.
    explicit DiskView(std::shared_ptr<const BlockDevice> device) : device_(std::move(device)) {}

    const std::shared_ptr<const BlockDevice>& device() const { return device_; }
    // Null: the view shows something else than a source does.
    const OpenedDisk* source() const { return source_ && source_->device == device_ ? &*source_ : nullptr; }
    // What the guest sees from now on.
    void change(std::shared_ptr<const BlockDevice> device) { device_ = std::move(device); }

  private:
    std::shared_ptr<const BlockDevice> device_;
    std::optional<OpenedDisk> source_;
};

} // namespace vm2oci
