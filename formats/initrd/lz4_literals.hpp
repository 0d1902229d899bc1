// Legacy LZ4, the form in which the Linux kernel takes initrds, written without compressing anything.
//
// Source of the format: lz4, doc/lz4_Frame_format.md ("Legacy frame") and doc/lz4_Block_format.md.
#pragma once

#include <string>
#include <string_view>

namespace vm2oci {

inline constexpr std::string_view kLegacyLz4("\x02\x21\x4c\x18", 4);

// A frame whose blocks are literals only: `bytes` stand in it as they are, every 4 MiB behind a head.
std::string lz4_of_literals(std::string_view bytes);

} // namespace vm2oci
