// Tables of partitions that are named and not read: util-linux, libblkid/src/partitions.
#include "formats/partition/tables.hpp"
#include "formats/partition/window.hpp"

namespace vm2oci::tables {

std::string_view foreign_table(const BlockDevice& disk) {
    const signatures::Window head(disk, 0, 4096);
    constexpr std::uint32_t kBsd = 0x82564557;
    for (const std::size_t at : {std::size_t{512}, std::size_t{64}, std::size_t{0}})
        if (head.le<std::uint32_t>(at) == kBsd && head.le<std::uint32_t>(at + 132) == kBsd)
            return "a disk label of the BSDs";
    if (head.be<std::uint16_t>(508) == 0xdabe)
        return "a disk label of SunOS";
    if (head.has(0, "ER") && (head.has(512, "PM") || head.has(1024, "PM") || head.has(2048, "PM")))
        return "an Apple partition map";
    if (head.be<std::uint32_t>(0) == 0x0be5a941)
        return "a disk label of SGI's IRIX";
    return {};
}

} // namespace vm2oci::tables
