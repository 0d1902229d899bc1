// The disks and partitions of the machine, and which of them a root= means.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/partition/signature.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::guest {

// How root= names a device.
struct RootName {
    enum class Kind { path, uuid, label, partition_label };
    Kind kind = Kind::path;
    std::string value;
};

// nullopt: a way to name it that is not understood, such as PARTUUID= or nfs.
std::optional<RootName> parse_root_name(std::string_view root);

// The group and the volume that a path may mean: /dev/mapper/a-b, /dev/a/b.
bool names_volume(std::string_view path, std::string_view group, std::string_view volume);

struct FoundDevice {
    std::string node; // "/dev/vda1"
    std::optional<Signature> signature;
};

// Every disk and partition that has a size, in the order of their names; devices that cannot be read have no signature.
std::vector<FoundDevice> block_devices(const std::string& sysfs = "/sys", const std::string& dev = "/dev");

// A device, or a file that holds what a device would. Without a signature when nothing is known on it or it cannot be
// read.
FoundDevice describe_device(const std::string& path);

// The device, its logical volume made if it is one; nullopt: not there (yet). Error for volumes that cannot be made.
std::optional<FoundDevice> find_root(const RootName& name);

} // namespace vm2oci::guest
