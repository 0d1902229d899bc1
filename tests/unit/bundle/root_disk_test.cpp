// Which of a guest's file systems become the root of a bundle, as they are or joined in a new one.
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "libconvert/bundle/root_disk.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/memory_file_system.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

using Words = std::vector<std::string>;

// A guest whose mounts lie on volumes of those names.
struct Mounts {
    OpenedGuest opened;
    std::vector<MountedFileSystem> mounts;

    Mounts& volume(const std::string& name, const std::string& type, const std::string& uuid, std::uint64_t size) {
        Volume volume;
        volume.name = name;
        auto device = std::make_shared<test::MemoryDevice>(size);
        device->put(0, "on " + name);
        volume.device = device;
        volume.signature = Signature{ContentKind::file_system, type, uuid, "", ""};
        opened.layout.volumes.push_back(std::move(volume));
        return *this;
    }
    Mounts& mount(GuestMount mount, const std::string& file) {
        test::MemoryFileSystem files;
        files.file(file, "content").folder("boot").folder("efi").folder("var").folder("lost+found");
        mounts.push_back({std::move(mount), std::make_shared<test::MemoryFileSystem>(std::move(files))});
        return *this;
    }
    RootDisk make(std::optional<std::uint64_t> size = std::nullopt) {
        opened.guest = std::make_unique<MountedGuest>(mounts);
        return make_root_disk(opened, {size, 1000}, {});
    }
};

GuestMount mount_of(const std::string& place, const std::string& volume, const std::string& type = "ext4",
                    const std::string& uuid = "") {
    return {place, volume, type, uuid, "", std::nullopt};
}

template <class Action>
std::string refusal_of(Action&& action, ErrorKind kind = ErrorKind::unsupported) {
    try {
        action();
    } catch (const Error& error) {
        return error.kind() == kind ? error.what() : std::string("another kind: ") + error.what();
    }
    return {};
}

std::string text_at(const BlockDevice& device, std::uint64_t offset, std::size_t length) {
    std::string text(length, '\0');
    device.read_at(offset, std::as_writable_bytes(std::span(text)));
    return text;
}

constexpr const char* kUuid = "01234567-89ab-cdef-0123-456789abcdef";

// ext4's superblock: its magic number, UUID and label (fs/ext4/ext4.h).
bool is_ext4_of(const BlockDevice& device, const std::string& label) {
    const std::string uuid = text_at(device, 1024 + 104, 16);
    return text_at(device, 1024 + 56, 2) == "\x53\xef" && uuid.substr(0, 4) == "\x01\x23\x45\x67" &&
           uuid.substr(12) == "\x89\xab\xcd\xef" && text_at(device, 1024 + 120, label.size() + 1) == label + '\0';
}

} // namespace

TEST_CASE("a root that is one file system is taken as it is, and changes stay beside it") {
    Mounts guest;
    guest.volume("partition 1", "vfat", "AAAA-0001", MiB).volume("partition 2\t", "xfs", "root-uuid", 2 * MiB);
    guest.mount(mount_of("/", "partition 2\t", "xfs"), "etc/x")
        .mount(mount_of("/boot/efi", "partition 1", "vfat"), "EFI/x");
    const RootDisk root = guest.make();
    CHECK(root.shape == RootShape::slice);
    CHECK(root.type == "xfs");
    CHECK(root.uuid == "root-uuid");
    CHECK(root.origin == "partition 2\\x09");
    CHECK(root.volumes == std::vector<std::size_t>{1});
    CHECK(root.left_out == Words{"/boot/efi"});
    CHECK(root.remarks.empty());
    CHECK(root.device->size() == 2 * MiB);
    CHECK(text_at(*root.device, 0, 11) == "on partitio");
    root.device->write_at(0, as_bytes("changed"));
    CHECK(text_at(*root.device, 0, 7) == "changed");
    CHECK(text_at(*guest.opened.layout.volumes[1].device, 0, 7) == "on part");
}

TEST_CASE("a mount's volume is found by its name or its UUID, and one that is not there is refused") {
    Mounts by_uuid;
    by_uuid.volume("partition 7", "ext4", "a-uuid", MiB).mount(mount_of("/", "/dev/mapper/x", "ext4", "a-uuid"), "x");
    CHECK(by_uuid.make().volumes == std::vector<std::size_t>{0});
    Mounts none;
    none.volume("partition 7", "ext4", "a-uuid", MiB).mount(mount_of("/", "thin volume", "ext4", "other"), "x");
    CHECK(refusal_of([&] { none.make(); }) ==
          "/ of the guest lies on 'thin volume', which is no partition and no linear logical volume of this disk");
    // A name counts before a UUID that two have.
    Mounts both;
    both.volume("one", "ext4", "same", MiB).volume("two", "ext4", "same", MiB);
    both.mount(mount_of("/", "two", "ext4", "same"), "x");
    CHECK(both.make().volumes == std::vector<std::size_t>{1});
}

TEST_CASE("several file systems are joined in an ext4 with the root's number, as large as they were together") {
    Mounts guest;
    guest.volume("root", "xfs", kUuid, 40 * MiB)
        .volume("var", "ext4", "v", 30 * MiB + 512)
        .volume("esp", "vfat", "e", MiB);
    GuestMount root_mount = mount_of("/", "root", "xfs", kUuid);
    root_mount.label = "the root";
    guest.mount(root_mount, "etc/x")
        .mount(mount_of("/var", "var"), "log/x")
        .mount(mount_of("/efi", "esp", "vfat"), "EFI/x");
    const RootDisk root = guest.make();
    CHECK(root.shape == RootShape::joined);
    CHECK(root.type == "ext4");
    CHECK(root.uuid == kUuid);
    CHECK(root.origin == "/, /var");
    CHECK(root.volumes == std::vector<std::size_t>{0, 1});
    CHECK(root.left_out == Words{"/efi"});
    CHECK(root.device->size() == 70 * MiB + 4096); // to whole blocks
    CHECK(is_ext4_of(*root.device, "the root"));
    CHECK(guest.make(200 * MiB).device->size() == 200 * MiB);
    CHECK(guest.make(1).device->size() == 64 * MiB); // never less
}

TEST_CASE("subvolumes of one file system are joined, too") {
    Mounts guest;
    guest.volume("partition 1", "btrfs", kUuid, 8 * MiB);
    GuestMount root = mount_of("/", "partition 1", "btrfs", kUuid);
    root.subvolume = "@";
    guest.mount(root, "etc/x");
    const RootDisk disk = guest.make();
    CHECK(disk.shape == RootShape::joined);
    CHECK(disk.type == "ext4");
    CHECK(disk.device->size() == 64 * MiB);
    CHECK(disk.volumes == std::vector<std::size_t>{0});
}

TEST_CASE("what is not there is refused if the guest needs it, told if it does not, and nothing of an ESP") {
    OpenedGuest none;
    none.reason = "it is encrypted";
    CHECK(refusal_of([&] { make_root_disk(none, {}, {}); }) == "there is no guest to package: it is encrypted");
    Mounts guest;
    guest.volume("root", "ext4", kUuid, MiB).mount(mount_of("/", "root"), "x");
    guest.opened.missing = {{"/boot/efi", "UUID=1", "gone", MountNeed::required},
                            {"/efi/", "UUID=1", "gone", MountNeed::required},
                            {"/srv", "UUID=2", "it is not there", MountNeed::optional}};
    CHECK(guest.make().remarks ==
          Words{"what the guest mounts on '/srv' from 'UUID=2' is not part of the root: it is not there"});
    guest.opened.missing.push_back({"/var", "UUID=3", "it is encrypted", MountNeed::required});
    CHECK(refusal_of([&] { guest.make(); }) == "'/var' of the guest, on 'UUID=3', cannot be read: it is encrypted");
}

TEST_CASE("an ext4 that is too small is doubled until the files fit") {
    test::MemoryFileSystem files;
    files.file("big", std::string(5 * MiB, 'b'));
    const MountedGuest guest({{{"/", "root", "ext4", kUuid, "lbl", std::nullopt},
                               std::make_shared<test::MemoryFileSystem>(std::move(files))}});
    const RootFiles root = make_fitting_ext4_root(guest, {}, 2 * MiB, 1000, {});
    CHECK(root.device->size() == 16 * MiB);
    CHECK(is_ext4_of(*root.device, "lbl"));
    CHECK_FALSE(refusal_of([&] { make_ext4_root(guest, {}, 8 * MiB, 1000, {}); }, ErrorKind::limit).empty());
    CHECK(make_ext4_root(guest, {}, 16 * MiB, 1000, {}).device->size() == 16 * MiB);
}
