// The first half of an NBD connection.
#pragma once

#include "formats/nbd/session.hpp"

#include <cstdint>
#include <optional>

namespace vm2oci {

// What client and server agreed on.
struct NbdAgreement {
    bool structured_replies = false;
    bool allocation_context = false; // base:allocation, so that BLOCK_STATUS may be asked
};

std::uint16_t nbd_transmission_flags(const NbdExport& exported);

// nullopt: the client left, or broke the protocol.
std::optional<NbdAgreement> nbd_handshake(NbdChannel& channel, const NbdExport& exported);

} // namespace vm2oci
