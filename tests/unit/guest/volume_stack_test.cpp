// What lies inside of other volumes, how a guest's configuration names it, and where it lies on the disks.
#include "formats/block/joined.hpp"
#include "formats/block/overlay.hpp"
#include "formats/block/slice.hpp"
#include "libconvert/guest/open_guest.hpp"
#include "libconvert/guest/volumes.hpp"
#include "tests/support/luks_builder.hpp"
#include "tests/support/md_builder.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

using Disk = std::shared_ptr<MemoryDevice>;

void put_ext(MemoryDevice& disk, std::uint64_t offset) {
    put_le<std::uint16_t>(disk, offset + 1024 + 56, 0xef53);
    put_le<std::uint32_t>(disk, offset + 1024 + 76, 1);
    disk.put(offset + 1024 + 104, std::string(16, 'e'));
}

void put_mbr(MemoryDevice& disk, std::uint64_t offset,
             const std::vector<std::pair<std::uint32_t, std::uint32_t>>& parts) {
    put_le<std::uint16_t>(disk, offset + 510, 0xaa55);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        put_le<std::uint8_t>(disk, offset + 446 + 16 * i + 4, 0x83);
        put_le<std::uint32_t>(disk, offset + 446 + 16 * i + 8, parts[i].first);
        put_le<std::uint32_t>(disk, offset + 446 + 16 * i + 12, parts[i].second);
    }
}

Disk leg(std::uint32_t number, const std::string& version = "1.2", std::uint64_t events = 10) {
    MdSuper super;
    super.version = version;
    super.number = number;
    super.events = events;
    super.offset = version == "1.0" ? 0 : super.offset;
    auto disk = std::make_shared<MemoryDevice>(kMdMemberSize);
    put_md_super(*disk, super);
    return disk;
}

DiskLayout examine(const std::vector<std::shared_ptr<const BlockDevice>>& disks,
                   const std::vector<DiskKey>& keys = {}) {
    std::vector<std::uint64_t> sizes;
    for (const auto& disk : disks)
        sizes.push_back(disk->size());
    return examine_layout(std::make_shared<JoinedDevice>(disks), sizes, keys);
}

std::string named(const DiskLayout& layout, std::string_view name) {
    const auto index = find_volume(layout, name);
    return index ? layout.volumes[*index].name : "-";
}

} // namespace

// What a route leads to the disks is what the volume's device shows; the disks themselves are as they were.
void check_route(const std::vector<std::shared_ptr<const BlockDevice>>& disks, const std::string& name,
                 const std::vector<DiskKey>& keys = {}) {
    INFO(name);
    std::vector<std::uint64_t> sizes;
    for (const auto& disk : disks)
        sizes.push_back(disk->size());
    const auto overlay = std::make_shared<OverlayDevice>(std::make_shared<JoinedDevice>(disks));
    const auto find = [&](const DiskLayout& layout) {
        const auto found = std::find_if(layout.volumes.begin(), layout.volumes.end(),
                                        [&](const Volume& each) { return each.name == name; });
        REQUIRE(found != layout.volumes.end());
        return *found;
    };
    const Volume volume = find(examine_layout(overlay, sizes, keys));
    REQUIRE(volume.route);
    std::vector<std::byte> wanted(static_cast<std::size_t>(volume.device->size()));
    volume.device->read_at(0, wanted);
    const auto changes = volume.route(overlay);
    for (const std::size_t offset : {std::size_t{30000}, std::size_t{1}, wanted.size() - 700}) {
        std::fill_n(wanted.begin() + static_cast<std::ptrdiff_t>(offset), 700, std::byte{0x5a});
        changes->write_at(offset, std::span(wanted).subspan(offset, 700));
    }
    // A second look, at what is stored alone.
    std::vector<std::byte> read(wanted.size());
    find(examine_layout(overlay, sizes, keys)).device->read_at(0, read);
    CHECK(read == wanted);
}

TEST_CASE("an array is a volume that its members make, under all of its names") {
    const Disk first = leg(0);
    const Disk second = leg(1);
    put_ext(*first, 64 * 1024);
    const DiskLayout layout = examine({first, second});
    REQUIRE(layout.volumes.size() == 3);
    const Volume& array = layout.volumes[2];
    CHECK(array.name == "array root");
    CHECK(array.signature->type == "ext2");
    CHECK(array.route);
    REQUIRE(array.stored.size() == 2);
    CHECK(array.stored[1].disk_offset == kMdMemberSize + 64 * 1024);
    CHECK(layout.volumes[0].containment == Containment::read);
    CHECK_FALSE(lies_on_disk(array));
    for (const char* name : {"/dev/md/root", "/dev/md/host:root", "/dev/md0", "/dev/md127", "/dev/md_d0",
                             "/dev/disk/by-id/md-name-host:root", "UUID=65656565-6565-6565-6565-656565656565",
                             "/dev/disk/by-id/md-uuid-53535353:53535353:53535353:53535353"}) {
        INFO(name);
        CHECK(named(layout, name) == "array root");
    }
    for (const char* name : {"/dev/md/other", "/dev/md0p1", "/dev/mdx", "/dev/md", "/dev/disk/by-id/md-uuid-",
                             "/dev/disk/by-id/md-uuid-11111111:53535353:53535353:53535353"}) {
        INFO(name);
        CHECK(named(layout, name) == "-");
    }
    CHECK(named(layout, "/dev/sda") == "whole disk");
}

TEST_CASE("numbers mean an array only where they can") {
    MdSuper other;
    other.set = 'T';
    other.name = "host:7";
    const Disk third = std::make_shared<MemoryDevice>(kMdMemberSize);
    put_md_super(*third, other);
    const DiskLayout layout = examine({leg(0), third});
    CHECK(named(layout, "/dev/md7") == "array 7");
    CHECK(named(layout, "/dev/md127") == "-");
    CHECK(named(layout, "/dev/md/root") == "array root");
    const DiskLayout old = examine({leg(0, "0.90"), third});
    CHECK(named(old, "/dev/md3") == "array md3");
}

TEST_CASE("partitions inside of an array have names of their own") {
    for (const std::string version : {"1.2", "1.0", "0.90"}) {
        INFO(version);
        const Disk disk = leg(0, version);
        const std::uint64_t begin = version == "1.2" ? 64 * 1024 : 0;
        put_mbr(*disk, begin, {{64, 64}, {128, 128}});
        put_ext(*disk, begin + 128 * 512);
        const DiskLayout layout = examine({disk});
        REQUIRE(layout.volumes.size() == 3);
        const std::string front = version == "0.90" ? "array md3" : "array root";
        CHECK(layout.volumes[2].name == front + ", partition 2");
        CHECK(layout.volumes[2].signature->type == "ext2");
        REQUIRE(layout.volumes[2].stored.size() == 1);
        CHECK(layout.volumes[2].stored[0].disk_offset == begin + 128 * 512);
        CHECK(named(layout, version == "0.90" ? "/dev/md3p2" : "/dev/md/root2") == front + ", partition 2");
        CHECK(named(layout, "/dev/md0p1") == front + ", partition 1");
        CHECK(named(layout, "/dev/disk/by-id/md-uuid-53535353:53535353:53535353:53535353-part2") ==
              front + ", partition 2");
        CHECK(named(layout, "/dev/md0p3") == "-");
    }
}

TEST_CASE("a last partition that ends in a superblock is its member, and not the disk") {
    // The partition and the disk end together: version 0.90 stands at the same place for both.
    auto disk = std::make_shared<MemoryDevice>(kMdMemberSize);
    MdSuper super;
    super.version = "0.90";
    put_md_super(*disk, super);
    put_mbr(*disk, 0, {{128, static_cast<std::uint32_t>(kMdMemberSize / 512 - 128)}});
    const DiskLayout layout = examine({disk});
    REQUIRE(layout.volumes.size() == 2);
    CHECK(layout.volumes[0].name == "partition 1");
    CHECK(layout.volumes[1].name == "array md3");
    CHECK(layout.volumes[1].stored[0].disk_offset == 128 * 512);
}

TEST_CASE("what begins like a file system, LUKS or LVM inside of a member is the array's") {
    const Disk disk = leg(0, "1.0");
    disk->put(512, std::string_view("LABELONE"));
    disk->put(512 + 24, std::string_view("LVM2 001"));
    disk->put(0, std::string_view("LUKS\xba\xbe\0\1", 8));
    const DiskLayout layout = examine({disk});
    CHECK(layout.volumes.at(0).signature->kind == ContentKind::raid);
    CHECK(layout.volumes.at(1).signature->kind == ContentKind::encrypted);
}

TEST_CASE("LUKS is opened by keys for all, for its name and for its UUID, and known by what crypttab says") {
    const auto disk = make_luks_2(plain_luks_json());
    for (const char* selector : {"all", "/dev/sda", "/dev/vda", "11111111-2222-3333-4444-555555555555"}) {
        INFO(selector);
        DiskLayout layout = examine({disk}, {{selector, std::string(kLuksPassphrase)}});
        REQUIRE(layout.volumes.size() == 2);
        CHECK(layout.volumes[1].name == "LUKS in whole disk");
        CHECK(layout.volumes[1].encrypted == 0u);
        CHECK(layout.volumes[0].containment == Containment::read);
        CHECK(layout.volumes[1].stored.at(0).disk_offset == kLuksData);
        layout.guest_disks.mapped = {{"root", "UUID=11111111-2222-3333-4444-555555555555"}};
        CHECK(named(layout, "/dev/mapper/root") == "LUKS in whole disk");
        CHECK(named(layout, "/dev/mapper/luks-11111111-2222-3333-4444-555555555555") == "LUKS in whole disk");
        CHECK(named(layout, "/dev/disk/by-id/dm-uuid-CRYPT-LUKS2-11111111222233334444555555555555-root") ==
              "LUKS in whole disk");
        CHECK(named(layout, "UUID=11111111-2222-3333-4444-555555555555") == "whole disk");
    }
    for (const auto& [selector, secret, reason] :
         {std::tuple{"/dev/sdb", kLuksPassphrase, "there is no key to it"},
          std::tuple{"22222222-2222-3333-4444-555555555555", kLuksPassphrase, "there is no key to it"},
          std::tuple{"all", std::string_view("x"), "no key that was given opens it"}}) {
        const DiskLayout layout = examine({disk}, {{selector, std::string(secret)}});
        REQUIRE(layout.volumes.size() == 1);
        CHECK(layout.volumes[0].containment == Containment::locked);
        CHECK(layout.volumes[0].locked_reason == reason);
    }
}

TEST_CASE("that no key fits is the reason for there being no guest, and no appliance is asked") {
    const auto disk = make_luks_2(plain_luks_json());
    for (const GuestBackend backend : {GuestBackend::automatic, GuestBackend::native}) {
        const OpenedGuest opened = open_guest(disk, {backend, {{"all", "x"}}}, {});
        CHECK(opened.guest == nullptr);
        CHECK(opened.reason == "whole disk is encrypted, and no key that was given opens it");
        CHECK(opened.reason_hint.kind == HintKind::key);
    }
}

TEST_CASE("LUKS inside of an array is opened, and lies on all of its members") {
    MdSuper super;
    std::vector<std::byte> inner(kLuksSize);
    make_luks_1()->read_at(0, inner);
    std::vector<std::shared_ptr<const BlockDevice>> disks;
    for (std::uint32_t number = 0; number < 2; ++number) {
        super.number = number;
        super.used = 128 * 1024;
        auto disk = std::make_shared<MemoryDevice>(kMdMemberSize);
        put_md_super(*disk, super);
        disk->put(super.offset, inner);
        disks.push_back(disk);
    }
    const DiskLayout layout = examine(disks, {{"/dev/md/root", std::string(kLuksPassphrase)}});
    REQUIRE(layout.volumes.size() == 4);
    CHECK(layout.volumes[3].name == "LUKS in array root");
    CHECK(layout.volumes[3].stored.size() == 2);
    CHECK(layout.volumes[3].stored_unit == 512);
    CHECK(layout.volumes[3].stored[1].disk_offset == kMdMemberSize + super.offset + kLuksData);

    // Written, it is the same on both: either disk alone shows it. Alone it is not written.
    const DiskKey key{"all", std::string(kLuksPassphrase)};
    check_route(disks, "LUKS in array root", {key});
    const auto overlay = std::make_shared<OverlayDevice>(std::make_shared<JoinedDevice>(disks));
    const DiskLayout through = examine_layout(overlay, {kMdMemberSize, kMdMemberSize}, {key});
    through.volumes.at(3).route(overlay)->write_at(1000, std::as_bytes(std::span("changed", 7)));
    for (const std::uint64_t begin : {std::uint64_t{0}, kMdMemberSize}) {
        const DiskLayout alone =
            examine_layout(std::make_shared<SliceDevice>(overlay, begin, kMdMemberSize), {}, {key});
        REQUIRE(alone.volumes.size() == 3);
        std::string text(7, '\0');
        alone.volumes[2].device->read_at(1000, std::as_writable_bytes(std::span(text)));
        CHECK(text == "changed");
        CHECK_FALSE(alone.volumes[1].route);
        CHECK_FALSE(alone.volumes[2].route);
    }
}

TEST_CASE("what is written inside of volumes is what they show afterwards") {
    check_route({make_luks_1()}, "LUKS in whole disk", {{"all", std::string(kLuksPassphrase)}});
    const Disk disk = leg(0);
    const Disk other = leg(1);
    put_mbr(*disk, 64 * 1024, {{64, 128}});
    check_route({disk, other}, "array root, partition 1");
}

TEST_CASE("an array of which a member is out of date is not written") {
    const DiskLayout layout = examine({leg(0), leg(1, "1.2", 3)});
    CHECK(layout.volumes.at(2).name == "array root");
    CHECK_FALSE(layout.volumes[2].route);
    CHECK(examine({leg(0), leg(1, "1.2", 9)}).volumes.at(2).route); // as a kernel takes it
}
