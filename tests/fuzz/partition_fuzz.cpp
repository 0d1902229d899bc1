// Partition tables and signatures: any bytes are read or refused by Error, and what is accepted lies on the disk.
#include "formats/base/error.hpp"
#include "formats/partition/partition.hpp"
#include "formats/partition/signature.hpp"
#include "tests/support/memory_device.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    vm2oci::test::MemoryDevice disk(size);
    disk.put(0, std::as_bytes(std::span(data, size)));
    vm2oci::probe_signature(disk);
    try {
        const vm2oci::PartitionTable table = vm2oci::read_partitions(disk);
        for (const vm2oci::Partition& partition : table.partitions)
            if (partition.offset > size || partition.length > size - partition.offset || partition.length == 0)
                std::abort();
    } catch (const vm2oci::Error&) {
    }
    return 0;
}
