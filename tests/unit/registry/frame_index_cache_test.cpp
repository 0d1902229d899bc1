#include "formats/base/fd.hpp"
#include "libconvert/copy/frame_index_cache.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <cstdlib>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

StoredLayer layer_with_index(const std::string& content) {
    StoredLayer layer;
    layer.descriptor.digest = Digest::of(content);
    layer.index.key = random_fingerprint_key();
    layer.index.frames.resize(3);
    return layer;
}

} // namespace

TEST_CASE("index are kept by layer, for their user alone") {
    const test::TemporaryFolder folder;
    const FrameIndexCache cache(folder.path() / "cache/frames");
    const StoredLayer layer = layer_with_index("one");
    CHECK_FALSE(cache.find(layer.descriptor.digest));
    cache.keep({&layer, 1});
    CHECK(cache.find(layer.descriptor.digest) == layer.index);
    CHECK_FALSE(cache.find(Digest::of("two")));
    const fs::path file = folder.path() / "cache/frames" / layer.descriptor.digest.hex();
    CHECK(fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
    CHECK(fs::status(file.parent_path()).permissions() == fs::perms::owner_all);

    // Under another name they are on another layer; where others may write, they are nobody's.
    fs::copy(file, file.parent_path() / Digest::of("two").hex());
    CHECK_FALSE(cache.find(Digest::of("two")));
    fs::permissions(file, fs::perms::group_write, fs::perm_options::add);
    CHECK_FALSE(cache.find(layer.descriptor.digest));
}

TEST_CASE("the oldest index go, and layers without index leave none") {
    const test::TemporaryFolder folder;
    const FrameIndexCache cache(folder.path());
    const fs::file_time_type long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1000);
    for (std::size_t i = 0; i < kMaxIndexedLayers + 3; ++i) {
        const StoredLayer layer = layer_with_index(fmt::format("layer {}", i));
        cache.keep({&layer, 1});
        fs::last_write_time(folder.path() / layer.descriptor.digest.hex(), long_ago + std::chrono::hours(i));
    }
    const StoredLayer last = layer_with_index("last");
    StoredLayer empty = layer_with_index("empty");
    empty.index = {};
    cache.keep(std::array{last, empty});
    CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == kMaxIndexedLayers);
    CHECK(cache.find(last.descriptor.digest));
    CHECK_FALSE(cache.find(empty.descriptor.digest));
    CHECK_FALSE(cache.find(Digest::of("layer 3")));
    CHECK(cache.find(Digest::of("layer 4")));
}

TEST_CASE("without a place for index everything else goes on") {
    const StoredLayer layer = layer_with_index("one");
    const FrameIndexCache nowhere{fs::path()};
    nowhere.keep({&layer, 1});
    CHECK_FALSE(nowhere.find(layer.descriptor.digest));
    const FrameIndexCache impossible("/dev/null/frames");
    impossible.keep({&layer, 1});
    CHECK_FALSE(impossible.find(layer.descriptor.digest));
}
