// Changes that go on to several places are read back through the devices that are made of those.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/joined.hpp"
#include "formats/block/overlay.hpp"
#include "formats/block/routed_changes.hpp"
#include "formats/block/slice.hpp"
#include "formats/block/striped.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <string>

using namespace vm2oci;
using test::MemoryDevice;

namespace {

std::shared_ptr<OverlayDevice> filled(std::uint64_t size, std::uint8_t value) {
    auto disk = std::make_shared<MemoryDevice>(size);
    disk->fill(0, size, value);
    return std::make_shared<OverlayDevice>(disk);
}

std::vector<std::byte> all_of(const BlockDevice& device) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(device.size()));
    device.read_at(0, bytes);
    return bytes;
}

// Any sequence of changes makes of `device` what it makes of plain bytes.
void compare(const BlockDevice& device, BlockChanges& changes) {
    std::vector<std::byte> wanted = all_of(device);
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        const std::size_t offset = random() % wanted.size();
        const std::size_t length = random() % std::min<std::size_t>(wanted.size() - offset, 9000);
        const auto part = std::span(wanted).subspan(offset, length);
        if (random() % 3 != 0) {
            for (std::byte& byte : part)
                byte = static_cast<std::byte>(random());
            changes.write_at(offset, part);
        } else {
            std::fill(part.begin(), part.end(), std::byte{0});
            changes.write_zeros(offset, length);
        }
    }
    CHECK(all_of(device) == wanted);
    CHECK_THROWS_AS(changes.write_at(wanted.size() - 1, std::span(wanted).first(2)), Error);
    CHECK_THROWS_AS(changes.write_zeros(wanted.size(), 1), Error);
    CHECK_THROWS_AS(changes.discard(wanted.size() - 1, 2), Error);
    changes.write_at(wanted.size(), {});
}

} // namespace

TEST_CASE("changes to pieces go where they lie, and never beyond") {
    const auto disk = filled(64 * 1024, 1);
    PlacedChanges changes({{0, 4096, disk, 40960}, {4096, 8192, disk, 8192}, {12288, 1000, disk, 100}});
    const JoinedDevice device({std::make_shared<SliceDevice>(disk, 40960, 4096),
                               std::make_shared<SliceDevice>(disk, 8192, 8192),
                               std::make_shared<SliceDevice>(disk, 100, 1000)});
    compare(device, changes);
    changes.discard(0, 4096);
    CHECK(disk->extent_at(40960).kind == ExtentKind::unallocated);
    // What lies around the pieces is nobody's of theirs.
    std::vector<std::byte> around(100);
    for (const std::uint64_t offset : {0u, 1100u, 8092u, 16384u, 40860u, 45056u}) {
        disk->read_at(offset, around);
        CHECK(around == std::vector<std::byte>(100, std::byte{1}));
    }
}

TEST_CASE("pieces that do not follow each other are refused") {
    const auto disk = filled(8192, 0);
    CHECK_THROWS_AS(PlacedChanges({{512, 512, disk, 0}}), Error);
    CHECK_THROWS_AS(PlacedChanges({{0, 512, disk, 0}, {1024, 512, disk, 512}}), Error);
    CHECK_THROWS_AS(PlacedChanges({{0, 512, disk, 0}, {511, 512, disk, 512}}), Error);
    CHECK_THROWS_AS(PlacedChanges({{0, 0, disk, 0}}), Error);
    PlacedChanges nothing({});
    CHECK_THROWS_AS(nothing.write_zeros(0, 1), Error);
}

TEST_CASE("changes to a mirror are in all of its copies") {
    const auto first = filled(16384, 1);
    const auto second = filled(16384, 2);
    MirroredChanges changes({first, second});
    changes.write_at(5, as_bytes("abc"));
    changes.write_zeros(10, 3);
    changes.discard(4096, 4096);
    for (const auto& copy : {first, second}) {
        std::string text(8, 'x');
        copy->read_at(5, std::as_writable_bytes(std::span(text)));
        CHECK(text.starts_with("abc"));
        CHECK(text.ends_with(std::string(3, '\0')));
        CHECK(copy->extent_at(4096).kind == ExtentKind::unallocated);
    }
    compare(*second, changes);
}

TEST_CASE("changes to stripes take turns as their reading does") {
    const std::vector disks{filled(16384, 1), filled(16384, 2), filled(16384, 3)};
    StripedChanges changes({disks.begin(), disks.end()}, 2048);
    compare(StripedDevice({disks.begin(), disks.end()}, 2048), changes);
}
