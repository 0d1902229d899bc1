// Any bytes as a file of an unknown format: named or raw, and what is said of it is printable.
#include "formats/base/error.hpp"
#include "formats/block/detect.hpp"
#include "formats/block/open_disk.hpp"
#include "tests/support/memory_device.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>

using namespace vm2oci;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto file = std::make_shared<test::MemoryDevice>(size);
    file->put(0, std::as_bytes(std::span(data, size)));
    try {
        require_format(detect(*file));
    } catch (const Error& error) {
        if (!std::ranges::all_of(error.message(), [](unsigned char c) { return std::isprint(c) != 0; }))
            std::abort();
    }
    examine_disk(file, DiskSource{});
    return 0;
}
