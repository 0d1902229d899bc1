// The guest's root file system as a container image.
#pragma once

namespace vm2oci::v0 {

struct Rootfs {
    bool keep_kernel = false;  // kernels, initrds, boot loader, modules and firmware
    bool split_layers = false; // what packages brought apart from the rest
};

} // namespace vm2oci::v0
