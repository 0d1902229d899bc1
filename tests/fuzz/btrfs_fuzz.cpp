// A btrfs with a file of each form, changed by what the input says, with checksums that are right again: its log is
// replayed, every folder, file, link, attribute, subvolume and the free space is read or refused by Error.
//
// The first byte chooses whether there is a log and how large blocks are filled; each four bytes behind it are one
// change: of which block, where in it (two bytes), and to what.
#include "formats/base/error.hpp"
#include "tests/support/btrfs_sample.hpp"

#include <algorithm>

namespace {

using namespace vm2oci;
using namespace vm2oci::test;
using namespace vm2oci::test::btrfs_sample;

BtrfsBuilder make_fuzzed(bool has_log, std::size_t items_in_leaf) {
    BtrfsBuilder made = make_btrfs_sample();
    if (has_log) {
        const std::uint64_t log = made.log(kTop);
        made.inode(log, kFile, 0100600, {11, 2}).extent_in_item(log, kFile, "new content", 11);
        made.inode_name(log, kRoot, 2, "file", kFile).attribute(log, kFile, "user.two", "2");
        made.inode(log, kFolder, 040700).item(log, {kFolder, 72, 2}, BtrfsBytes().le<std::uint64_t>(3).bytes);
        made.inode(log, 290, 040755).inode_name(log, kRoot, 30, "new folder", 290);
        made.inode(log, kLarge, 0100644, {8192}).extent(log, kLarge, {4096, 4096, 0, 0});
        made.entry(log, kRoot, 31, "another", {kFile, 1, 0});
    }
    made.finish(items_in_leaf);
    return made;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const BtrfsBuilder kMade[] = {make_fuzzed(false, 5), make_fuzzed(true, 5), make_fuzzed(false, 1000),
                                         make_fuzzed(true, 1000)};
    if (size == 0)
        return 0;
    BtrfsBuilder made = kMade[data[0] & 3];
    const std::vector<std::size_t> blocks = made.blocks();
    for (std::size_t i = 1; i + 4 <= size && i < 100; i += 4) {
        const std::size_t within = (data[i + 1] | std::size_t{data[i + 2]} << 8) % BtrfsBuilder::kNode;
        made.put8(blocks[data[i] % blocks.size()] + within, data[i + 3]);
    }
    made.seal();
    try {
        read_all_of(BtrfsFileSystem(made.device()));
    } catch (const Error&) {
    }
    return 0;
}
