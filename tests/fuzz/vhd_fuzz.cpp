// Any bytes as a VHD, with the checksums that they should have.
#include "formats/base/endian.hpp"
#include "tests/fuzz/disk_fuzz.hpp"

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// The ones' complement of the sum of the bytes, without its own.
void seal(std::span<std::uint8_t> bytes, std::size_t place) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += i < place || i >= place + 4 ? bytes[i] : 0U;
    store_be<std::uint32_t>(std::as_writable_bytes(bytes.subspan(place)).data(), ~sum);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kFooter = 512;
    constexpr std::size_t kHeader = 1024;
    std::vector<std::uint8_t> bytes(data, data + size);
    if (bytes.size() >= kFooter + kHeader + kFooter) {
        seal(std::span(bytes).first(kFooter), 64);
        seal(std::span(bytes).subspan(kFooter, kHeader), 36);
        std::copy_n(bytes.begin(), kFooter, bytes.end() - kFooter);
    } else if (bytes.size() >= kFooter) {
        seal(std::span(bytes).last(kFooter), 64);
    }
    fuzz_disk(file_of(bytes), DiskFormat::vhd);
    return 0;
}
