// Inside of the room: what a header says, in one form for both versions.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/luks/key.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::luks {

inline constexpr std::size_t kMaxKeySize = 512;   // bytes; dm-crypt's ciphers need 64, with integrity 96
inline constexpr std::size_t kMaxStripes = 16384; // 4000 in all that was ever written

// Where a passphrase opens the volume's key.
struct KeySlot {
    std::uint32_t number = 0;
    Kdf kdf;
    std::size_t area_key_size = 0; // of the key that the passphrase becomes, and the area is encrypted with
    std::string area_cipher;       // "aes-xts-plain64"
    std::uint64_t area_offset = 0; // bytes
    std::size_t stripes = 0;
    std::string stripe_hash;
    std::size_t key_size = 0; // of the volume's key
    int priority = 1;         // 2 is tried first; 0 only if nothing else fits
};

// By which a volume's key is known.
struct KeyDigest {
    Kdf kdf;
    std::vector<std::byte> digest;
    std::vector<std::uint32_t> slots;
};

struct Header {
    unsigned version = 0;
    std::vector<KeySlot> slots;                // those in use
    std::vector<std::string> unreadable_slots; // why
    KeyDigest digest;                          // of the key of the data
    std::string cipher;                        // of the data
    std::uint64_t sector = 512;                // that is encrypted by itself
    std::uint64_t offset = 0;                  // of the data
    std::uint64_t size = 0;                    // of the data; whole sectors
    std::uint64_t first_number = 0;            // of the first sector
    std::vector<std::string> tokens; // kinds of what opens it without a passphrase, as the header has them: untrusted
};

// Error{corrupt, unsupported, limit}.
Header read_header_1(const BlockDevice& device);
Header read_header_2(const BlockDevice& device);

// Error{unsupported} for data that is elsewhere, Error{corrupt} for data beyond the device.
void check_data(const BlockDevice& device, const Header& header, std::uint64_t header_end);

} // namespace vm2oci::luks
