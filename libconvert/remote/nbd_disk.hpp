// A disk that an NBD server has: whatever nbdkit or qemu-nbd reach, such as VMware's VDDK, ssh or Ceph.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace vm2oci {

struct NbdTimeouts {
    std::chrono::milliseconds connect{30'000}; // until the server has said what it exports
    std::chrono::milliseconds answer{120'000}; // to one request: servers of archives on tape are slower than this
};

// Whether a reference names such a server: "nbd://", "nbds://", "nbd+unix://", "nbds+unix://" (NBD URI specification).
bool is_nbd_uri(std::string_view text);

// Only reads. As many connections as `operation` has threads, eight at most, if the server allows several; holes as it
// tells them (base:allocation), else everything is data. Error{io} names the server when it does not answer in time, is
// lost, or refuses. Error{usage}: no such URI, or
// require_trusted_server() refuses it. `operation` outlives the result; its cancellation ends every wait.
std::shared_ptr<const BlockDevice> open_nbd_disk(const std::string& uri, const OperationContext& operation,
                                                 NbdTimeouts timeouts = {});

} // namespace vm2oci
