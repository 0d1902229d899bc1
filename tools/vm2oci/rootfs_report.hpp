// What `vm2oci convert --as rootfs` says of its result.
#pragma once

#include "libconvert/package/rootfs.hpp"
#include "tools/vm2oci/command_table.hpp"

#include <string>

namespace vm2oci::cli {

// To standard output, for people or as JSON.
void print_rootfs(const RootfsImage& image, const std::string& destination, Invocation& call);

} // namespace vm2oci::cli
