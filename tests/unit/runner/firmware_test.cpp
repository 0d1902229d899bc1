#include "runner/machine/spec.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryDevice;

namespace {

constexpr std::uint64_t kSize = 64 * MiB;

struct MbrPartition {
    unsigned char type;
    unsigned char flag;
};

// One partition at 1 MiB, boot code if asked for.
std::shared_ptr<MemoryDevice> mbr_disk(MbrPartition partition, std::string_view boot_code) {
    auto disk = std::make_shared<MemoryDevice>(kSize);
    std::string sector(512, '\0');
    sector.replace(0, boot_code.size(), boot_code);
    sector[446] = static_cast<char>(partition.flag);
    sector[450] = static_cast<char>(partition.type);
    sector.replace(454, 8, std::string("\0\x08\0\0\0\x80\0\0", 8));
    sector[510] = '\x55';
    sector[511] = '\xaa';
    disk->put(0, sector);
    return disk;
}

// The beginning of GRUB's boot sector.
const std::string kBootCode("\xeb\x63\x90\x10\x8e\xd0\xbc\x00\xb0\xb8", 10);

} // namespace

TEST_CASE("the firmware follows from what the disk has") {
    CHECK(firmware_for(*mbr_disk({0x83, 0x80}, kBootCode)) == Firmware::bios);
    CHECK(firmware_for(*mbr_disk({0xef, 0}, "")) == Firmware::uefi);
    CHECK(firmware_for(*mbr_disk({0xef, 0}, kBootCode)) == Firmware::bios);
    CHECK(firmware_for(MemoryDevice(kSize)) == Firmware::bios);
    CHECK(firmware_for(MemoryDevice(1)) == Firmware::bios);
}

TEST_CASE("a broken partition table is no reason not to try") {
    // A protective MBR without the GPT that it protects.
    CHECK(firmware_for(*mbr_disk({0xee, 0}, "")) == Firmware::bios);
}
