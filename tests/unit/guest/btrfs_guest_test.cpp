// A guest on subvolumes of btrfs, as everything above the reader sees it.
#include "formats/base/error.hpp"
#include "libconvert/guest/boot_roots.hpp"
#include "libconvert/guest/open_guest.hpp"
#include "libconvert/guest/subvolumes.hpp"
#include "libconvert/package/sparsify.hpp"
#include "tests/support/btrfs_sample.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr std::uint64_t kTop = BtrfsBuilder::kTop;
constexpr std::uint64_t kFolder = BtrfsBuilder::kRootFolder;
const std::string kUuid = "UUID=00000000-0000-0000-0000-000000000000";

// A Linux in a subvolume; inodes 300 to 309 of it.
void put_system(BtrfsBuilder& made, std::uint64_t tree, std::string_view fstab) {
    std::uint64_t number = 300;
    made.inode(tree, number, 040755).name(tree, kFolder, 50, "etc", number);
    made.file(tree, number, 2, "fstab", 301, fstab);
    std::uint64_t position = 3;
    for (const char* name : {"group", "os-release", "passwd"}) {
        made.file(tree, 300, position, name, 299 + position, "x");
        ++position;
    }
    for (const char* name : {"usr", "var", "home", "boot"}) {
        made.inode(tree, 302 + position, 040755).name(tree, kFolder, 50 + position, name, 302 + position);
        ++position;
    }
}

// Under a folder of the topmost tree.
void put_grub(BtrfsBuilder& made, std::uint64_t tree, std::uint64_t folder, const std::string& options) {
    made.inode(tree, 400, 040755).name(tree, folder, 80, "grub2", 400);
    made.file(tree, 400, 2, "grub.cfg", 401, "menuentry x {\n linux /vmlinuz " + options + "\n}\n");
}

OpenedGuest opened(BtrfsBuilder made) {
    made.finish();
    return open_guest(made.device(), GuestBackend::native, {});
}

std::string root_of(const OpenedGuest& guest) {
    REQUIRE(guest.guest);
    CHECK(guest.backend == "native");
    return guest.guest->mounts().front().subvolume;
}

bool tells(const OpenedGuest& guest, const std::string& word) {
    return std::any_of(guest.remarks.begin(), guest.remarks.end(),
                       [&](const std::string& remark) { return remark.find(word) != std::string::npos; });
}

} // namespace

TEST_CASE("mount options name a subvolume by path, by number, or by both") {
    const auto options = [](std::string_view text) { return read_tree_options(text); };
    CHECK(options("rw,subvol=@,compress=zstd").path == std::optional<std::string>("@"));
    CHECK(options("subvol=@a,subvol=@b").path == std::optional<std::string>("@b"));
    CHECK_FALSE(options("rw,subvolx=@").path);
    CHECK(options("subvolid=256").number == std::optional<std::uint64_t>(256));
    CHECK(options("subvolid=0").number == std::optional<std::uint64_t>(5));
    CHECK(options("subvolid=0x100").number == std::optional<std::uint64_t>(256));
    CHECK(options("subvolid=0400").number == std::optional<std::uint64_t>(256));
    for (const char* wrong :
         {"subvolid=", "subvolid=x", "subvolid=-1", "subvolid=99999999999999999999", "subvolid=1 2"})
        CHECK_THROWS_AS(options(wrong), Error);

    BtrfsBuilder made = make_btrfs_sample();
    made.finish();
    const BtrfsFileSystem files(made.device());
    CHECK(find_tree(files, {}).top == files.root());
    CHECK(find_tree(files, options("subvol=/folder/second")).path == "folder/second");
    CHECK(find_tree(files, options("subvolid=300")).path == "folder/second");
    CHECK(find_tree(files, options("subvolid=300,subvol=folder/second")).top == files.subvolume("folder/second"));
    for (const char* wrong : {"subvol=second", "subvolid=999", "subvolid=300,subvol=snapshot", "subvol=folder"})
        CHECK_THROWS_AS(find_tree(files, options(wrong)), Error);
}

TEST_CASE("snapshots that are kept are told from other subvolumes") {
    const auto kept = [](const char* path, SubvolumeFacts::Origin origin, SubvolumeFacts::Access access) {
        return is_kept_snapshot({1, path, {}, origin, access});
    };
    using enum SubvolumeFacts::Origin;
    using enum SubvolumeFacts::Access;
    CHECK(kept("anything", snapshot, read_only));
    CHECK_FALSE(kept("var/lib/docker/btrfs/subvolumes/x", snapshot, writable));
    CHECK_FALSE(kept("sealed", created, read_only));
    for (const char* path : {".snapshots/1/snapshot", "@/.snapshots/12/snapshot"})
        CHECK(kept(path, snapshot, writable));
    for (const char* path : {"@/x.snapshots/1/snapshot", "@/.snapshots/a/snapshot", "@/.snapshots//snapshot",
                             "@/.snapshots/1/snapshots", "snapshot"})
        CHECK_FALSE(kept(path, created, writable));
}

TEST_CASE("the root is the default subvolume, as on SUSE") {
    BtrfsBuilder made;
    made.subvolume(256).place(256, kTop, kFolder, 2, "@");
    made.subvolume(257).place(257, 256, kFolder, 2, ".snapshots");
    for (const std::uint64_t number : {1u, 2u, 3u}) {
        made.inode(257, 260 + number, 040755).name(257, kFolder, number + 2, std::to_string(number), 260 + number);
        made.subvolume(260 + number, {number != 3, true}).place(260 + number, 257, 260 + number, 2, "snapshot");
        put_system(made, 260 + number,
                   kUuid + " / btrfs defaults 0 0\n" + kUuid + " /home btrfs subvol=/@/home 0 0\n" + kUuid +
                       " /.snapshots btrfs subvol=/@/.snapshots 0 0\n");
        made.inode(260 + number, 500, 040755).name(260 + number, kFolder, 90, ".snapshots", 500);
    }
    made.subvolume(258).place(258, 256, kFolder, 3, "home").file(258, kFolder, 2, "note", 257, "kept");
    made.default_subvolume(263);
    const OpenedGuest guest = opened(std::move(made));
    CHECK(root_of(guest) == "@/.snapshots/3/snapshot");
    CHECK(guest.missing.empty());
    CHECK(guest.guest->read_file("/home/note", 10) == std::optional<std::string>("kept"));
    // All of them are there to be looked at, and told.
    CHECK(guest.guest->list("/.snapshots/1/snapshot")->size() > 4);
    CHECK(tells(guest, "has 2 snapshots ("));
    CHECK_FALSE(tells(guest, "look like roots"));
    // None is packed again.
    struct : TreeSink {
        void add(const Entry& entry, const FileContent*) override { paths.push_back(entry.path); }
        std::vector<std::string> paths;
    } sink;
    guest.guest->export_tree({}, sink, {});
    std::size_t systems = 0;
    std::size_t folders = 0;
    for (const std::string& path : sink.paths) {
        systems += path.ends_with("etc/fstab") ? 1U : 0U;
        folders += path.ends_with("/snapshot") ? 1U : 0U;
    }
    CHECK(systems == 1);
    CHECK(folders == 3);
}

TEST_CASE("the root is what the boot loader names, as on Fedora, wherever its menu lies") {
    for (const char* place : {"boot subvolume", "in the root", "by number"}) {
        INFO(place);
        BtrfsBuilder made;
        made.subvolume(256).place(256, kTop, kFolder, 2, "root").subvolume(257).place(257, kTop, kFolder, 3, "other");
        put_system(made, 257, "");
        put_system(made, 256,
                   kUuid + " / btrfs subvol=root 0 0\n" + kUuid + " /home btrfs subvol=home,compress=zstd:1 0 0\n");
        made.subvolume(258).place(258, kTop, kFolder, 4, "home").file(258, kFolder, 2, "note", 257, "kept");
        const std::string by_path = "root=" + kUuid + " ro rootflags=subvol=root quiet";
        if (place == std::string("boot subvolume")) {
            made.subvolume(259).place(259, kTop, kFolder, 5, "boot");
            put_grub(made, 259, kFolder, by_path);
        } else {
            put_grub(made, 256, 311,
                     place == std::string("by number") ? "root=" + kUuid + " rootflags=noatime,subvolid=256" : by_path);
        }
        const OpenedGuest guest = opened(std::move(made));
        CHECK(root_of(guest) == "root");
        CHECK(guest.guest->read_file("/home/note", 10) == std::optional<std::string>("kept"));
        CHECK_FALSE(tells(guest, "look like roots"));
    }
}

TEST_CASE("without a boot loader the root is the one whose fstab says so") {
    BtrfsBuilder made;
    made.subvolume(256).place(256, kTop, kFolder, 2, "@a").subvolume(257).place(257, kTop, kFolder, 3, "@b");
    made.subvolume(258, {true, true}).place(258, kTop, kFolder, 4, "@c");
    put_system(made, 256, kUuid + " / btrfs subvol=@b 0 0\n");
    put_system(made, 257, kUuid + " / btrfs subvol=@b 0 0\n");
    put_system(made, 258, kUuid + " / btrfs subvol=@c 0 0\n");
    const OpenedGuest guest = opened(std::move(made));
    CHECK(root_of(guest) == "@b");
    CHECK(tells(guest, "2 subvolumes"));
    CHECK(tells(guest, "has 1 snapshot ("));
}

TEST_CASE("a subvolume that fstab names and that is not there is told") {
    BtrfsBuilder made;
    put_system(made, kTop,
               kUuid + " / btrfs defaults 0 0\n" + kUuid + " /home btrfs subvol=@home 0 0\n" + kUuid +
                   " /var btrfs subvolid=777,nofail 0 0\n");
    const OpenedGuest guest = opened(std::move(made));
    CHECK(root_of(guest).empty());
    REQUIRE(guest.missing.size() == 2);
    CHECK(guest.missing[0].reason.find("no subvolume \"@home\"") != std::string::npos);
    CHECK(guest.missing[1].reason.find("777") != std::string::npos);
    CHECK(guest.missing[1].need == MountNeed::optional);
}

TEST_CASE("a subvolume that the boot loader names and that is not there is told, and the default taken") {
    BtrfsBuilder made;
    put_system(made, kTop, "");
    put_grub(made, kTop, 311, "root=" + kUuid + " rootflags=subvol=gone");
    const OpenedGuest guest = opened(std::move(made));
    CHECK(root_of(guest).empty());
    CHECK(tells(guest, "no subvolume \"gone\""));
}

TEST_CASE("free space of btrfs is left out in this process") {
    BtrfsBuilder made = make_btrfs_sample();
    made.finish();
    const SparsifiedDisk sparse = sparsify(made.device(), GuestBackend::native, {});
    CHECK(sparse.unused > 2'000'000);
    CHECK(sparse.remarks.empty());
    BtrfsBuilder dirty = make_btrfs_sample();
    dirty.inode(dirty.log(kTop), 257, 0100600, {7, 2});
    dirty.finish();
    const SparsifiedDisk whole = sparsify(dirty.device(), GuestBackend::native, {});
    CHECK(whole.unused == 0);
    REQUIRE(whole.remarks.size() == 1);
    CHECK(whole.remarks.front().find("left whole") != std::string::npos);
}
