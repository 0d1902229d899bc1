#include "formats/base/fd.hpp"
#include "libconvert/copy/frame_notebook.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <cstdlib>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

StoredLayer layer_with_notes(const std::string& content) {
    StoredLayer layer;
    layer.descriptor.digest = Digest::of(content);
    layer.notes.key = random_fingerprint_key();
    layer.notes.frames.resize(3);
    return layer;
}

} // namespace

TEST_CASE("notes are kept by layer, for their user alone") {
    const test::TemporaryFolder folder;
    const FrameNotebook notebook(folder.path() / "cache/frames");
    const StoredLayer layer = layer_with_notes("one");
    CHECK_FALSE(notebook.find(layer.descriptor.digest));
    notebook.keep({&layer, 1});
    CHECK(notebook.find(layer.descriptor.digest) == layer.notes);
    CHECK_FALSE(notebook.find(Digest::of("two")));
    const fs::path file = folder.path() / "cache/frames" / layer.descriptor.digest.hex();
    CHECK(fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
    CHECK(fs::status(file.parent_path()).permissions() == fs::perms::owner_all);

    // Under another name they are on another layer; where others may write, they are nobody's.
    fs::copy(file, file.parent_path() / Digest::of("two").hex());
    CHECK_FALSE(notebook.find(Digest::of("two")));
    fs::permissions(file, fs::perms::group_write, fs::perm_options::add);
    CHECK_FALSE(notebook.find(layer.descriptor.digest));
}

TEST_CASE("the oldest notes go, and layers without notes leave none") {
    const test::TemporaryFolder folder;
    const FrameNotebook notebook(folder.path());
    const fs::file_time_type long_ago = fs::file_time_type::clock::now() - std::chrono::hours(1000);
    for (std::size_t i = 0; i < kMaxNotedLayers + 3; ++i) {
        const StoredLayer layer = layer_with_notes(fmt::format("layer {}", i));
        notebook.keep({&layer, 1});
        fs::last_write_time(folder.path() / layer.descriptor.digest.hex(), long_ago + std::chrono::hours(i));
    }
    const StoredLayer last = layer_with_notes("last");
    StoredLayer empty = layer_with_notes("empty");
    empty.notes = {};
    notebook.keep(std::array{last, empty});
    CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == kMaxNotedLayers);
    CHECK(notebook.find(last.descriptor.digest));
    CHECK_FALSE(notebook.find(empty.descriptor.digest));
    CHECK_FALSE(notebook.find(Digest::of("layer 3")));
    CHECK(notebook.find(Digest::of("layer 4")));
}

TEST_CASE("without a place for notes everything else goes on") {
    const StoredLayer layer = layer_with_notes("one");
    const FrameNotebook nowhere{fs::path()};
    nowhere.keep({&layer, 1});
    CHECK_FALSE(nowhere.find(layer.descriptor.digest));
    const FrameNotebook impossible("/dev/null/frames");
    impossible.keep({&layer, 1});
    CHECK_FALSE(impossible.find(layer.descriptor.digest));
}
