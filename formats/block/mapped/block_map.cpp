#include "formats/block/mapped/block_map.hpp"

#include "formats/base/error.hpp"

namespace vm2oci::mapped {

void BlockMap::decode(std::uint64_t /*guest_offset*/, const Mapping& /*mapping*/, std::span<std::byte> /*unit*/) const {
    fail(ErrorKind::corrupt, "the format has no compressed blocks");
}

} // namespace vm2oci::mapped
