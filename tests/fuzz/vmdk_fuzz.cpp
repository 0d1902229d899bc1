// Any bytes as a VMDK: a descriptor, or a file that holds one.
#include "tests/fuzz/disk_fuzz.hpp"

using namespace vm2oci;
using namespace vm2oci::test;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz_disk(file_of({data, size}), DiskFormat::vmdk);
    return 0;
}
