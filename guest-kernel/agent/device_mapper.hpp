// Logical volumes as block devices, by the kernel's device-mapper (linux/dm-ioctl.h).
#pragma once

#include "formats/lvm/volume_group.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::guest {

inline constexpr std::size_t kMapperNameLimit = 127; // DM_NAME_LEN with its end

// "group-volume", with the dashes of each doubled, as LVM does.
std::string mapper_name(std::string_view group, std::string_view volume);

struct MapperTarget {
    std::uint64_t begin = 0;  // sectors of 512 bytes
    std::uint64_t length = 0; // sectors
    std::string parameters;   // of the target "linear": "254:0 2048"
};

// One target for each segment. `number_of` gives "major:minor" of a physical volume. Error{corrupt} for segments that
// do not begin and end on sectors, or leave gaps.
std::vector<MapperTarget> mapper_table(const LvmLogicalVolume& volume,
                                       const std::function<std::string(const std::string& uuid)>& number_of);

// Makes the device; returns its node, /dev/mapper/NAME. Error{io}.
std::string activate(const LvmLogicalVolume& volume, const std::vector<MapperTarget>& table);

} // namespace vm2oci::guest
