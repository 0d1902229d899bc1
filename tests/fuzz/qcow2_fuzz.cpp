// Any bytes as a qcow2.
#include "tests/fuzz/disk_fuzz.hpp"

using namespace vm2oci;
using namespace vm2oci::test;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz_disk(file_of({data, size}), DiskFormat::qcow2);
    return 0;
}
