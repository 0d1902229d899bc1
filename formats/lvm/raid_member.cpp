#include "formats/lvm/raid_member.hpp"

#include "formats/base/endian.hpp"

#include <array>
#include <limits>

namespace vm2oci::lvm {

std::optional<RaidMember> read_raid_member(const BlockDevice& metadata) {
    constexpr std::uint32_t kMagic = 0x64526d44; // "DmRd"
    constexpr std::uint32_t kIsReshaping = 1;    // of `flags`, which counts where the features say so
    std::array<std::byte, 512> bytes;
    if (metadata.size() < bytes.size())
        return std::nullopt;
    metadata.read_at(0, bytes);
    if (load_le<std::uint32_t>(bytes.data()) != kMagic)
        return std::nullopt;
    RaidMember member;
    member.position = load_le<std::uint32_t>(bytes.data() + 12);
    member.events = load_le<std::uint64_t>(bytes.data() + 16);
    member.failed = load_le<std::uint64_t>(bytes.data() + 24);
    member.is_recovering = load_le<std::uint64_t>(bytes.data() + 32) != std::numeric_limits<std::uint64_t>::max();
    const bool has_flags = (load_le<std::uint32_t>(bytes.data() + 4) & 1U) != 0;
    member.is_reshaping = has_flags && (load_le<std::uint32_t>(bytes.data() + 60) & kIsReshaping) != 0;
    return member;
}

} // namespace vm2oci::lvm
