// One file of a chain of disks: the seam between open_disk() above and the reader of each format below.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/block/disk_policy.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

using DevicePtr = std::shared_ptr<const BlockDevice>;

// Further files of the same disk, which an image may name and never opens itself.
class ExtentFiles {
  public:
    virtual ~ExtentFiles() = default;
    // The files for what the image calls `names` (untrusted), in that order. Error{unsafe} if nobody vouches for one.
    virtual std::vector<DevicePtr> open(const std::vector<std::string>& names) = 0;
};

struct LayerSource {
    DevicePtr container;
    std::string name; // for messages
    DiskPolicy policy;
    TableScan scan = TableScan::complete;
    // The external data file of a qcow2, given by hand.
    std::optional<std::filesystem::path> data_file;
    ExtentFiles* extents = nullptr; // outlives the call; null: there are none
};

// What a reader has to say of every disk.
struct LayerSizes {
    std::uint64_t virtual_size = 0;
    std::uint64_t allocated_size = 0; // bytes of the guest's disk that are stored; 0 with TableScan::none
};

// What a layer says of the one below it.
struct ParentLink {
    std::string name;                    // untrusted: what the image calls it
    std::vector<std::string> identities; // one of these must be the parent's own identity(); none: anything goes
};

// Everything of a layer that can be known before the one below it is open.
class Layer {
  public:
    virtual ~Layer() = default;
    // None: it stands alone.
    virtual std::optional<ParentLink> parent() const { return std::nullopt; }
    // Who it is to its children, by a number that only this format has; empty: nobody.
    virtual std::string identity() const { return {}; }
    // What the guest sees. Called once, at the end; `parent` is null if there is none.
    virtual DevicePtr assemble(DevicePtr parent) = 0;
};

} // namespace vm2oci
