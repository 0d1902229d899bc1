// What `vm2oci convert --as rootfs` says of its result.
#pragma once

#include "libconvert/package/rootfs.hpp"
#include "tools/vm2oci/command_table.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace vm2oci::cli {

// To standard output, for people or as JSON, with what the edits report.
void print_rootfs(const RootfsImage& image, const std::string& destination, const nlohmann::ordered_json& edits,
                  Invocation& call);

} // namespace vm2oci::cli
