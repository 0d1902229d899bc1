// Whose fault it is: a damaged file among several says its name, once.
#include "formats/block/joined.hpp"
#include "formats/block/named.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/vmdk_writer.hpp"
#include "tests/unit/block/foreign_fixture.hpp"

#include <fstream>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

class BrokenDevice final : public BlockDevice {
  public:
    explicit BrokenDevice(std::string message) : message_(std::move(message)) {}
    std::uint64_t size() const override { return 4096; }
    void read_at(std::uint64_t /*offset*/, std::span<std::byte> /*buffer*/) const override {
        fail(ErrorKind::corrupt, message_);
    }
    Extent extent_at(std::uint64_t /*offset*/) const override { fail(ErrorKind::io, message_); }

  private:
    std::string message_;
};

std::string words_of(const BlockDevice& device, std::uint64_t offset) {
    std::vector<std::byte> buffer(16);
    return error_of([&] { device.read_at(offset, buffer); }).what();
}

} // namespace

TEST_CASE("a device says its name before what is wrong in it, whichever way it is asked") {
    const NamedDevice device(std::make_shared<BrokenDevice>("no sound stream"), "web01.vmdk");
    CHECK(words_of(device, 0) == "web01.vmdk: no sound stream");
    const Error error = error_of([&] { (void)device.extent_at(0); });
    CHECK(std::string(error.what()) == "web01.vmdk: no sound stream");
    CHECK(error.kind() == ErrorKind::io);
}

TEST_CASE("a name that is said already is not said again, and those of a chain stand in its order") {
    const NamedDevice said(std::make_shared<BrokenDevice>("web01.vmdk became shorter"), "web01.vmdk");
    CHECK(words_of(said, 0) == "web01.vmdk became shorter");
    const NamedDevice chain(
        std::make_shared<NamedDevice>(std::make_shared<BrokenDevice>("no sound stream"), "base.vmdk"), "top.vmdk");
    CHECK(words_of(chain, 0) == "top.vmdk: base.vmdk: no sound stream");
}

TEST_CASE("of several disks the damaged one is told") {
    const auto named = [](const std::string& name) {
        return std::make_shared<NamedDevice>(std::make_shared<BrokenDevice>("no sound stream"), name);
    };
    const JoinedDevice joined({named("first.vmdk"), named("second.vmdk")});
    CHECK(words_of(joined, 100).rfind("first.vmdk: ", 0) == 0);
    CHECK(words_of(joined, 4096).rfind("second.vmdk: ", 0) == 0);
}

TEST_CASE("a damaged grain says in which extent of a disk it is") {
    TemporaryFolder folder;
    const auto put = [&](const std::string& name, const ImageBytes& image) {
        std::ofstream(folder.path() / name, std::ios::binary) << as_text(image.bytes);
    };
    const GrainValues values = {{0, 1}, {1, 2}, {511, 4}};
    ImageBytes damaged = make_stream_vmdk(values);
    for (std::uint64_t at = kStreamGrainsAt + 12; at < kStreamGrainsAt + 24; ++at)
        damaged.put_le(at, 1, 0x55);
    put("web01-s001.vmdk", make_stream_vmdk(values));
    put("web01-s002.vmdk", damaged);
    std::string lines;
    for (const char* name : {"web01-s001.vmdk", "web01-s002.vmdk"})
        lines += "RW " + std::to_string(kVmdkSectors) + " SPARSE \"" + name + "\"\n";
    DiskSource source;
    source.path = folder.path() / "web01.vmdk";
    std::ofstream(source.path, std::ios::binary) << vmdk_descriptor("twoGbMaxExtentSparse", lines);
    const OpenedDisk disk = open_disk(source);
    std::vector<std::byte> buffer(16);
    disk.device->read_at(0, buffer);
    const std::string words = words_of(*disk.device, kVmdkGrains * kVmdkGrain);
    INFO(words);
    CHECK(words.find("web01.vmdk: ") != std::string::npos);
    CHECK(words.find("web01-s002.vmdk") != std::string::npos);
    CHECK(words.find("web01-s001.vmdk") == std::string::npos);
}
