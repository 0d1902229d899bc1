// Any bytes as ext4: every folder, file, link and attribute is read or refused by Error.
#include "formats/base/error.hpp"
#include "formats/ext4/file_system.hpp"
#include "tests/fuzz/walk_file_system.hpp"
#include "tests/support/memory_device.hpp"

#include <memory>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto disk = std::make_shared<vm2oci::test::MemoryDevice>(size);
    disk->put(0, std::as_bytes(std::span(data, size)));
    try {
        vm2oci::fuzz::walk(vm2oci::Ext4FileSystem(disk));
    } catch (const vm2oci::Error&) {
    }
    return 0;
}
