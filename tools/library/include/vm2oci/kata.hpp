// What Kata Containers starts its sandboxes from, in a folder.
#pragma once

#include <vm2oci/bundle.hpp>

#include <filesystem>

namespace vm2oci::v0 {

struct Kata {
    std::filesystem::path agent; // kata-agent, of the Kata that will run it
    RootFormat root = RootFormat::disk;
    bool verity = false; // the root proves itself by dm-verity
};

} // namespace vm2oci::v0
