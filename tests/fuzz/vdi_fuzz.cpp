// Any bytes as a VDI: its first blocks are zeros behind them.
#include "tests/fuzz/disk_fuzz.hpp"

using namespace vm2oci;
using namespace vm2oci::test;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz_disk(file_of({data, size}, size + 3 * MiB), DiskFormat::vdi);
    return 0;
}
