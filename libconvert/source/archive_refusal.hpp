// Archives that hold a machine or its disk and are not read in place: what they are, and what to do.
#pragma once

#include "formats/block/block_device.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// The names of the first members of a tar, as far as `head` goes: what its beginning tells. Nothing of a member is
// read.
std::vector<std::string> names_in_tar(const BlockDevice& head);

// Error{unsupported}: "a Vagrant box; unpack it, and name 'box.img' in it". `packing` is what the tar is packed with;
// "" if it is not.
[[noreturn]] void refuse_tar(const BlockDevice& head, std::string_view packing);

// Whether the file is a tar that no package of a machine is in, of which refuse_tar() tells more than its name does.
bool is_vagrant_box(const std::vector<std::string>& names);

} // namespace vm2oci
