// LUKS1 and LUKS2: what an encrypted volume holds, decrypted as it is read and encrypted as it is written.
//
// Sources of the formats: LUKS On-Disk Format Specification 1.2.3, LUKS2 On-Disk Format Specification 1.1.2; Linux,
// drivers/md/dm-crypt.c.
#pragma once

#include "formats/block/block_changes.hpp"
#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vm2oci {

struct LuksVolume {
    std::shared_ptr<const BlockDevice> device; // null: no key fits
    std::uint64_t offset = 0;                  // where on the encrypted volume the first byte lies; the rest follows it
    std::uint64_t sector = 512;                // that is encrypted by itself
    // From changes to the encrypted volume to those of `device`, which must show the former.
    ChangesRoute route;
    // Without a device: why, as the rest of a sentence about the volume. Safe to print.
    std::string reason;
};

// What `keys` open, tried in their order on each slot. `keys` may be empty: then the reason says that there is none.
// Error{unsupported} by name: ciphers other than AES in XTS or CBC, tags of integrity, data apart from the header, a
// reencryption that has not ended; Error{corrupt}; Error{limit}: 1 GiB of memory for argon2, 512 GiB written by it and
// five hundred million rounds of PBKDF2, for all slots and keys together.
LuksVolume open_luks(const std::shared_ptr<const BlockDevice>& device, std::span<const std::string_view> keys);

// With keys that may take no more than so much. For tests and fuzzers.
struct LuksEffort {
    std::uint64_t rounds;
    std::uint64_t argon_bytes;
    std::uint32_t argon_kibibytes;
};
LuksVolume open_luks(const std::shared_ptr<const BlockDevice>& device, std::span<const std::string_view> keys,
                     const LuksEffort& effort);

} // namespace vm2oci
