// LVM2's configuration text, and a whole physical volume: read, or told as a remark.
#include "formats/base/error.hpp"
#include "formats/lvm/text.hpp"
#include "formats/lvm/volume_group.hpp"
#include "tests/support/memory_device.hpp"

#include <memory>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        vm2oci::lvm::parse_text(std::string_view(reinterpret_cast<const char*>(data), size));
    } catch (const vm2oci::Error&) {
    }
    const auto disk = std::make_shared<vm2oci::test::MemoryDevice>(size);
    disk->put(0, std::as_bytes(std::span(data, size)));
    vm2oci::read_volume_groups({{"uuid", disk}});
    return 0;
}
