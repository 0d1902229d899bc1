// An xfs with a file of each form, changed by what the input says, with checksums that are right again: its log is
// replayed, every folder, file, link, attribute and the free space is read or refused by Error.
//
// The first byte chooses the version (version 4 has no checksums in its log either) and whether there is a log; each
// five bytes behind it are one change: three of a place, two of a value.
#include "formats/base/error.hpp"
#include "tests/support/xfs_sample.hpp"

#include <algorithm>

namespace {

using namespace vm2oci;
using namespace vm2oci::test;

// One transaction with an inode and a block of a folder.
void put_fuzzed_log(XfsBuilder& made) {
    XfsBytes inode;
    inode.le<std::uint16_t>(0x123b).le<std::uint16_t>(3).le<std::uint32_t>(5).zeros(8).le(sample::kSparse);
    inode.zeros(16).le<std::uint64_t>(sample::kSparse).le<std::uint32_t>(2).le<std::uint32_t>(0);
    std::vector<std::byte> core(made.inode(sample::kSparse), made.inode(sample::kSparse) + 176);
    // In the log's byte order, as far as it must be.
    std::swap(core[0], core[1]);
    std::swap(core[2], core[3]);
    std::reverse(core.begin() + 16, core.begin() + 20);
    std::reverse(core.begin() + 56, core.begin() + 64);
    std::reverse(core.begin() + 76, core.begin() + 80);
    std::reverse(core.begin() + 152, core.begin() + 160);
    core.resize(made.is_v5() ? 176 : 96);
    std::vector<std::byte> extents(made.inode(sample::kSparse) + made.core(),
                                   made.inode(sample::kSparse) + made.core() + 32);
    XfsBytes buffer;
    buffer.le<std::uint16_t>(0x123c).le<std::uint16_t>(2).le<std::uint16_t>(0).le<std::uint16_t>(2);
    buffer.le<std::uint64_t>(sample::kSingleBlock * 2).le<std::uint32_t>(1).le<std::uint32_t>(1);
    std::vector<std::byte> block(made.block(sample::kSingleBlock), made.block(sample::kSingleBlock) + 128);
    const std::vector<std::byte> head = XfsBytes().le<std::uint32_t>(0x5452414e).zeros(12).bytes;
    made.put_log({{{1, 1, {}}, {1, 0, head}, {1, 0, buffer.bytes}, {1, 0, block}},
                  {{1, 0, inode.bytes}, {1, 0, core}, {1, 0, extents}, {1, 2, {}}}});
    if (!made.is_v5())
        for (const std::size_t record : {0u, 2u})
            made.put32(XfsBuilder::kLogBlock * XfsBuilder::kBlock + record * 512 + 32, 0);
}

XfsBuilder make_fuzzed(bool is_v5, bool has_log) {
    XfsBuilder made = make_sample(is_v5 ? XfsBuilder::Version::v5 : XfsBuilder::Version::v4);
    if (has_log)
        put_fuzzed_log(made);
    made.finish();
    return made;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const XfsBuilder kMade[] = {make_fuzzed(false, false), make_fuzzed(false, true), make_fuzzed(true, false),
                                       make_fuzzed(true, true)};
    if (size == 0)
        return 0;
    XfsBuilder made = kMade[data[0] & 3];
    for (std::size_t i = 1; i + 5 <= size && i < 100; i += 5) {
        // Nearly all that counts lies in the first 100 blocks.
        const std::size_t place = (data[i] | std::size_t{data[i + 1]} << 8 | std::size_t{data[i + 2]} << 16) % 102'000;
        made.put8(place, data[i + 3]);
        made.put8(place + 1, data[i + 4]);
    }
    made.seal();
    try {
        read_everything(XfsFileSystem(made.device()));
    } catch (const Error&) {
    }
    return 0;
}
