// One NBD connection, from the handshake to the disconnect: fixed newstyle, structured replies, base:allocation.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace vm2oci {

// Both directions of a connection.
class NbdChannel {
  public:
    virtual ~NbdChannel() = default;
    // Fills the buffer; false when the peer has gone, however much of it was read.
    virtual bool read(std::span<std::byte> buffer) = 0;
    // False when the peer has gone.
    virtual bool write(std::span<const std::byte> bytes) = 0;
};

// What is served. Everything in it is called from any thread of any connection.
struct NbdExport {
    std::shared_ptr<const BlockDevice> device;
    // Stores what a client writes, so that `device` reads it back; empty: the export is read-only and says so.
    std::function<void(std::uint64_t offset, std::span<const std::byte> bytes)> write;
    // Hears of each error that reading or writing threw, as text; the client only learns "I/O error".
    std::function<void(const std::string& what)> on_error;
    // What a client has no use for any more; empty: clients are told that there is no such command.
    std::function<void(std::uint64_t offset, std::uint64_t length)> discard = {};
};

// The largest read or write that is accepted: what the protocol lets a client expect, and what QEMU keeps to.
inline constexpr std::uint32_t kNbdMaxTransfer = 32 * 1024 * 1024;
// Longest option that is read; a client that sends more is not one (the longest useful option is a 4 KiB name).
inline constexpr std::uint32_t kNbdMaxOption = 16 * 1024;
inline constexpr unsigned kNbdMaxOptions = 128; // a handshake needs five

// Talks until the client disconnects, goes away or breaks the protocol; never throws for what the peer does. The
// export's name is ignored: there is one disk.
void serve_nbd(NbdChannel& channel, const NbdExport& exported);

} // namespace vm2oci
