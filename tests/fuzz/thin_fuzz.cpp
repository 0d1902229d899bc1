// A thin pool's metadata changed by what the input says, with checksums and places that are right again: every volume
// is opened and read.
//
// Each five bytes are one change: a block and where in it (three bytes), and what stands there (two).
#include "formats/base/error.hpp"
#include "formats/lvm/thin_pool.hpp"
#include "tests/fuzz/disk_fuzz.hpp"
#include "tests/support/thin_builder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace vm2oci;
    static const auto kData = test::make_thin_data();
    test::ThinBuilder made = test::make_thin_sample();
    for (std::size_t i = 0; i + 5 <= size && i < 250; i += 5) {
        const std::uint64_t block = data[i] % 8U;
        // The header, the first keys, or the first values.
        constexpr std::size_t kParts[] = {0, 32, 32 + 8 * 252, 320};
        const std::size_t at = kParts[data[i + 1] & 3U] + data[i + 2] % 40U;
        made.change<std::uint8_t>(block, at, data[i + 3]);
        made.change<std::uint8_t>(block, at + 1, data[i + 4]);
    }
    for (std::uint64_t block = 1; block < 8; ++block)
        made.change<std::uint64_t>(block, 8, block);
    try {
        const lvm::ThinPool pool(made.disk(), kData, test::ThinBuilder::kChunk, 1);
        for (const std::uint64_t id : {1u, 2u, 3u})
            try {
                test::read_some(*pool.open(id, test::kThinVolume, id == 1 ? kData : nullptr));
            } catch (const Error&) {
            }
    } catch (const Error&) {
    }
    return 0;
}
