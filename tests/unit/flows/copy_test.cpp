#include "formats/base/error.hpp"
#include "formats/oci/layout.hpp"
#include "formats/oci/layout_index.hpp"
#include "libconvert/convert.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/flows/copy.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

// An image for the architecture, tagged with its name.
Descriptor write_image(const fs::path& layout, const std::string& architecture) {
    const auto device = std::make_shared<test::MemoryDevice>(1024 * 1024);
    device->put(0, "a disk for " + architecture);
    OpenedDisk disk{device, device, {}};
    ContainerDiskOptions options;
    options.image.architecture = architecture;
    OciLayoutDestination destination(layout, architecture);
    return convert_to_container_disk(disk, {}, options, destination, {}).manifest;
}

ImageReference in_layout(const fs::path& folder, std::optional<std::string> tag) {
    return LayoutReference{folder.string(), std::move(tag)};
}

} // namespace

TEST_CASE("a copied image has the same digest, and its file says so") {
    const test::TemporaryFolder folder;
    const Descriptor image = write_image(folder.path() / "from", "amd64");
    ImageCopyRequest request;
    request.source = in_layout(folder.path() / "from", "amd64");
    request.destination = in_layout(folder.path() / "to", "copy");
    request.digest_file = folder.path() / "digest";
    std::vector<CopiedImage> copied;
    copy_images(request, [&](const CopiedImage& one) { copied.push_back(one); }, {});
    REQUIRE(copied.size() == 1);
    CHECK(copied[0].result.top.digest == image.digest);
    CHECK(text_of(request.digest_file) == image.digest.text());
    CHECK(OciLayoutSource(folder.path() / "to", "copy").resolve().digest == image.digest);
}

TEST_CASE("a digest that cannot be written keeps the image from appearing") {
    const test::TemporaryFolder folder;
    write_image(folder.path() / "from", "amd64");
    ImageCopyRequest request;
    request.source = in_layout(folder.path() / "from", "amd64");
    request.destination = in_layout(folder.path() / "to", "copy");
    request.digest_file = folder.path() / "missing" / "digest";
    CHECK_THROWS_AS(copy_images(request, [](const CopiedImage&) {}, {}), Error);
    CHECK_FALSE(fs::exists(folder.path() / "to"));

    IndexRequest join;
    join.sources = {{in_layout(folder.path() / "from", "amd64"), "the first"}};
    join.destination = in_layout(folder.path() / "to", "all");
    join.digest_file = folder.path(); // a folder
    CHECK_THROWS_AS(create_index(join, {}), Error);
    CHECK_FALSE(fs::exists(folder.path() / "to"));
}

TEST_CASE("all tags go under the same names, and only where none is named") {
    const test::TemporaryFolder folder;
    write_image(folder.path() / "from", "amd64");
    write_image(folder.path() / "from", "arm64");
    ImageCopyRequest request;
    request.tags = TagChoice::all;
    request.source = in_layout(folder.path() / "from", std::nullopt);
    request.destination = in_layout(folder.path() / "to", std::nullopt);
    unsigned copied = 0;
    const auto count = [&](const CopiedImage&) { ++copied; };
    copy_images(request, count, {});
    CHECK(copied == 2);
    CHECK(layout_index_tags(text_of(folder.path() / "to/index.json")) == std::vector<std::string>{"amd64", "arm64"});

    request.destination = in_layout(folder.path() / "to", "one");
    CHECK_THROWS_AS(copy_images(request, count, {}), Error);
    request.destination = in_layout(folder.path() / "to", std::nullopt);
    request.source = in_layout(folder.path() / "from", "amd64");
    CHECK_THROWS_AS(copy_images(request, count, {}), Error);
    request.source = in_layout(folder.path() / "absent", std::nullopt);
    CHECK_THROWS_AS(copy_images(request, count, {}), Error);
    CHECK(copied == 2);
}

TEST_CASE("an index joins images of several architectures, and appears with its digest") {
    const test::TemporaryFolder folder;
    IndexRequest request;
    for (const char* architecture : {"amd64", "arm64"}) {
        write_image(folder.path() / "from", architecture);
        request.sources.push_back({in_layout(folder.path() / "from", architecture), architecture});
    }
    request.destination = in_layout(folder.path() / "to", "all");
    request.digest_file = folder.path() / "digest";
    const JoinResult result = create_index(request, {});
    CHECK(result.manifests.size() == 2);
    CHECK(text_of(request.digest_file) == result.top.digest.text());
    CHECK(OciLayoutSource(folder.path() / "to", "all").resolve().digest == result.top.digest);
    // The same platform twice is a conflict, and nothing of it shows.
    request.sources.push_back(request.sources.front());
    request.destination = in_layout(folder.path() / "to", "twice");
    CHECK_THROWS_AS(create_index(request, {}), Error);
    CHECK(layout_index_tags(text_of(folder.path() / "to/index.json")) == std::vector<std::string>{"all"});
}
