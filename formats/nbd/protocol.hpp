// The NBD protocol's numbers (NetworkBlockDevice/nbd, doc/proto.md). All integers on the wire are big-endian.
#pragma once

#include <cstdint>

namespace vm2oci::nbd {

inline constexpr std::uint64_t kServerMagic = 0x4e42444d41474943; // "NBDMAGIC"
inline constexpr std::uint64_t kOptionMagic = 0x49484156454f5054; // "IHAVEOPT"
inline constexpr std::uint64_t kOptionReplyMagic = 0x0003e889045565a9;
inline constexpr std::uint32_t kRequestMagic = 0x25609513;
inline constexpr std::uint32_t kSimpleReplyMagic = 0x67446698;
inline constexpr std::uint32_t kStructuredReplyMagic = 0x668e33ef;

// Handshake flags, the same bits from server and client.
inline constexpr std::uint16_t kFixedNewstyle = 1;
inline constexpr std::uint16_t kNoZeroes = 2;

namespace option {
inline constexpr std::uint32_t export_name = 1;
inline constexpr std::uint32_t abort = 2;
inline constexpr std::uint32_t list = 3;
inline constexpr std::uint32_t info = 6;
inline constexpr std::uint32_t go = 7;
inline constexpr std::uint32_t structured_reply = 8;
inline constexpr std::uint32_t list_meta_context = 9;
inline constexpr std::uint32_t set_meta_context = 10;
} // namespace option

namespace option_reply {
inline constexpr std::uint32_t ack = 1;
inline constexpr std::uint32_t server = 2;
inline constexpr std::uint32_t info = 3;
inline constexpr std::uint32_t meta_context = 4;
inline constexpr std::uint32_t unsupported = 0x80000001;
inline constexpr std::uint32_t invalid = 0x80000003;
inline constexpr std::uint32_t unknown = 0x80000006;
} // namespace option_reply

namespace info {
inline constexpr std::uint16_t export_size = 0;
inline constexpr std::uint16_t block_size = 3;
} // namespace info

// Transmission flags.
inline constexpr std::uint16_t kHasFlags = 1;
inline constexpr std::uint16_t kReadOnly = 2;
inline constexpr std::uint16_t kSendFlush = 4;
inline constexpr std::uint16_t kSendTrim = 0x20;
inline constexpr std::uint16_t kSendDontFragment = 0x80;
inline constexpr std::uint16_t kCanMultiConnect = 0x100;

namespace command {
inline constexpr std::uint16_t read = 0;
inline constexpr std::uint16_t write = 1;
inline constexpr std::uint16_t disconnect = 2;
inline constexpr std::uint16_t flush = 3;
inline constexpr std::uint16_t trim = 4;
inline constexpr std::uint16_t block_status = 7;
} // namespace command

inline constexpr std::uint16_t kCommandDontFragment = 4;
inline constexpr std::uint16_t kCommandRequestOne = 8;

namespace chunk {
inline constexpr std::uint16_t done_flag = 1;
inline constexpr std::uint16_t none = 0;
inline constexpr std::uint16_t offset_data = 1;
inline constexpr std::uint16_t offset_hole = 2;
inline constexpr std::uint16_t block_status = 5;
inline constexpr std::uint16_t error = 0x8001;
} // namespace chunk

// "base:allocation" states.
inline constexpr std::uint32_t kStateHole = 1;
inline constexpr std::uint32_t kStateZero = 2;
inline constexpr std::uint32_t kAllocationContextId = 1;

namespace error_number {
inline constexpr std::uint32_t permission = 1;
inline constexpr std::uint32_t io = 5;
inline constexpr std::uint32_t invalid = 22;
inline constexpr std::uint32_t unsupported = 95;
} // namespace error_number

} // namespace vm2oci::nbd
