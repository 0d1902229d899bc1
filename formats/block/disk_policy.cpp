#include "formats/block/disk_policy.hpp"

#include "formats/base/error.hpp"

#include <fmt/format.h>

namespace vm2oci {

void check_virtual_size(std::uint64_t size, const DiskPolicy& policy) {
    if (size > policy.max_virtual_size)
        fail(ErrorKind::limit,
             fmt::format("the disk has {}, and the limit is {}", format_size(size),
                         format_size(policy.max_virtual_size)),
             HintKind::max_virtual_size);
}

void check_amplification(std::uint64_t promised, std::uint64_t stored) {
    if (promised > kAmplificationFreeBytes && promised / kMaxAmplification > stored)
        fail(ErrorKind::limit, fmt::format("the image promises {} of data in a file of {}, more than {} times as much",
                                           format_size(promised), format_size(stored), kMaxAmplification));
}

} // namespace vm2oci
