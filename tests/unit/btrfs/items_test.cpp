// Items in order of their keys, as stored and with what a log changes.
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/btrfs/changed_tree.hpp"
#include "formats/btrfs/logged_extents.hpp"
#include "tests/support/btrfs_sample.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;
using btrfs::Key;

namespace {

constexpr std::uint64_t kTop = BtrfsBuilder::kTop;
constexpr std::uint64_t kFile = 300;
constexpr std::uint64_t kSector = 4096;

std::vector<std::byte> text(std::string_view value) {
    return BtrfsBytes().text(value).bytes;
}

// Keys 300/108/4096, 8192 … of a file, in blocks of three items.
struct Made {
    BtrfsBuilder builder;
    std::unique_ptr<btrfs::Volume> volume;
    btrfs::TreeRoot root;
    btrfs::ItemChanges changes;

    explicit Made(std::uint64_t extents) {
        for (std::uint64_t i = 1; i <= extents; ++i)
            builder.extent(kTop, kFile, {i * kSector, kSector, BtrfsBuilder::kData + i * kSector, kSector});
        builder.finish(3);
        volume = std::make_unique<btrfs::Volume>(builder.device());
        const btrfs::Subvolumes subvolumes(*volume);
        root = subvolumes.find(kTop)->root;
    }
    std::vector<std::uint64_t> places(const Key& from) const {
        std::vector<std::uint64_t> found;
        for (btrfs::Cursor at(*volume, root, from, &changes); at.is_at(kFile, 108); at.next())
            found.push_back(at.key().offset / kSector);
        return found;
    }
};

} // namespace

TEST_CASE("btrfs items: a walk begins at any key, and changes are in their places") {
    using Places = std::vector<std::uint64_t>;
    Made made(7);
    CHECK(made.root.level > 0);
    CHECK(made.places({kFile, 108, 0}) == Places{1, 2, 3, 4, 5, 6, 7});
    CHECK(made.places({kFile, 108, 3 * kSector}) == Places{3, 4, 5, 6, 7});
    CHECK(made.places({kFile, 108, 3 * kSector + 1}) == Places{4, 5, 6, 7});
    CHECK(made.places({kFile, 108, 8 * kSector}).empty());
    made.changes[{kFile, 108, 0}] = text("before all");
    made.changes[{kFile, 108, 2 * kSector}].reset();
    made.changes[{kFile, 108, 3 * kSector}] = text("replaced");
    made.changes[{kFile, 108, 7 * kSector}].reset();
    made.changes[{kFile, 108, 8 * kSector}].reset();
    made.changes[{kFile, 108, 9 * kSector}] = text("behind all");
    CHECK(made.places({kFile, 108, 0}) == Places{0, 1, 3, 4, 5, 6, 9});
    CHECK(made.places({kFile, 108, 7 * kSector}) == Places{9});
    const auto find = [&](std::uint64_t place) {
        return btrfs::find_item(*made.volume, made.root, {kFile, 108, place * kSector}, &made.changes);
    };
    CHECK(find(3) == text("replaced"));
    CHECK_FALSE(find(2));
    CHECK_FALSE(find(8));
    CHECK(find(4)->size() == 53);
}

TEST_CASE("btrfs items: the last one before a key is found in whichever block it is") {
    const Made made(9);
    for (std::uint64_t place = 1; place <= 9; ++place)
        for (const std::uint64_t more : {0u, 1u, 4095u}) {
            const auto found = btrfs::find_at_or_before(*made.volume, made.root, {kFile, 108, place * kSector + more});
            REQUIRE(found);
            CHECK(found->key == Key{kFile, 108, place * kSector});
            CHECK(found->data.size() == 53);
        }
    CHECK(btrfs::find_at_or_before(*made.volume, made.root, {~0ull, 255, ~0ull})->key.offset == 9 * kSector);
    CHECK_FALSE(btrfs::find_at_or_before(*made.volume, made.root, {1, 0, 0}));
}

TEST_CASE("btrfs items: all blocks of a tree are known, each once") {
    const Made made(9);
    std::vector<std::uint64_t> blocks = btrfs::blocks_of(*made.volume, made.root);
    CHECK(blocks.front() == made.root.address);
    std::sort(blocks.begin(), blocks.end());
    CHECK(std::adjacent_find(blocks.begin(), blocks.end()) == blocks.end());
    CHECK(blocks.size() >= 5);
}

TEST_CASE("btrfs items: extents are dropped from the middle, over what was dropped before") {
    using Places = std::vector<std::uint64_t>;
    Made made(7);
    btrfs::ChangedTree tree(*made.volume, made.root, made.changes);
    CHECK(tree.extent_before(kFile, 3 * kSector)->offset == 2 * kSector);
    CHECK_FALSE(tree.extent_before(kFile, kSector));
    CHECK_FALSE(tree.extent_before(kFile + 1, 3 * kSector));
    btrfs::drop_extents(tree, kFile, 3 * kSector, 5 * kSector);
    CHECK(made.places({kFile, 108, 0}) == Places{1, 2, 5, 6, 7});
    CHECK(tree.extent_before(kFile, 5 * kSector)->offset == 2 * kSector);
    // One that reaches over two borders is cut in two.
    made.changes[{kFile, 108, 2 * kSector}] = tree.find({kFile, 108, 2 * kSector});
    store_le<std::uint64_t>(made.changes[{kFile, 108, 2 * kSector}]->data() + 45, 3 * kSector);
    btrfs::drop_extents(tree, kFile, 3 * kSector, 4 * kSector);
    CHECK(made.places({kFile, 108, 0}) == Places{1, 2, 4, 5, 6, 7});
    CHECK(load_le<std::uint64_t>(tree.find({kFile, 108, 4 * kSector})->data() + 37) == 2 * kSector);
    btrfs::drop_extents(tree, kFile, 0, UINT64_MAX);
    CHECK(made.places({kFile, 108, 0}).empty());
    CHECK_FALSE(tree.extent_before(kFile, UINT64_MAX));
}
