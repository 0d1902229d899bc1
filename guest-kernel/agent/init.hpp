// /init of an initramfs: finds the root, mounts it, lays a writable layer over it where it needs one, and becomes the
// guest's own init.
#pragma once

namespace vm2oci::guest {

// For process 1 only. Does not return unless the machine cannot be started: then it has said why, on the console and on
// the agent's port, and what it returns is an exit code, with which the kernel panics.
int run_init(int count, char** arguments);

} // namespace vm2oci::guest
