#include "formats/base/error.hpp"
#include "libconvert/guest/fstab.hpp"
#include "libconvert/guest/missing_mounts.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "tests/support/memory_file_system.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

MountedGuest make_guest(test::MemoryFileSystem root) {
    return MountedGuest(
        {{{"/", "", "", "", "", std::nullopt}, std::make_shared<test::MemoryFileSystem>(std::move(root))}});
}

class PathSink final : public TreeSink {
  public:
    void add(const Entry& entry, const FileContent* content) override {
        paths.push_back(entry.path + (entry.hard_link_to ? " = " + *entry.hard_link_to : ""));
        if (content != nullptr)
            ++contents;
    }
    std::vector<std::string> paths;
    std::size_t contents = 0;
};

} // namespace

TEST_CASE("paths stay inside the guest, whatever its links say") {
    test::MemoryFileSystem root;
    root.file("etc/passwd", "guest's").file("usr/lib/os-release", "ID=x");
    root.symlink("etc/os-release", "../usr/lib/os-release");
    root.symlink("outside", "../../../../etc/passwd");
    root.symlink("absolute", "/etc/passwd");
    root.symlink("folder", "/etc").symlink("self", "self").symlink("dangling", "/nowhere/at/all");
    root.symlink("bin", "usr/bin").file("usr/bin/sh", "#!");
    const MountedGuest guest = make_guest(std::move(root));
    CHECK(guest.read_file("/etc/os-release", 100) == "ID=x");
    CHECK(guest.read_file("outside", 100) == "guest's");
    CHECK(guest.read_file("/absolute", 100) == "guest's");
    CHECK(guest.read_file("/../../etc/./passwd", 100) == "guest's");
    CHECK(guest.read_file("/folder/passwd", 100) == "guest's");
    CHECK(guest.read_file("//bin//sh", 100) == "#!");
    CHECK_FALSE(guest.read_file("/dangling", 100));
    CHECK_FALSE(guest.read_file("/etc/passwd/below", 100));
    CHECK_FALSE(guest.read_file("/etc", 100));
    CHECK(guest.read_link("/self") == "self");
    CHECK(guest.resolve("/folder/passwd", FinalLink::keep)->canonical == "/etc/passwd");
    CHECK_THROWS_AS(guest.status("/self", FinalLink::follow), Error);
    CHECK_FALSE(exists(guest, "/self"));
    CHECK_THROWS_AS(guest.read_file("/etc/passwd", 3), Error);
    CHECK(guest.read_range("/etc/passwd", 5, 100) == "'s");
    CHECK(guest.read_range("/etc/passwd", 50, 100) == "");
}

TEST_CASE("forty links are followed, and not one more") {
    test::MemoryFileSystem root;
    root.file("link-0", "end");
    for (int i = 1; i <= 41; ++i)
        root.symlink("link-" + std::to_string(i), "link-" + std::to_string(i - 1));
    const MountedGuest guest = make_guest(std::move(root));
    CHECK(guest.read_file("/link-40", 100) == "end");
    CHECK_THROWS_AS(guest.read_file("/link-41", 100), Error);
}

TEST_CASE("file systems hide what lies below their mount points") {
    auto root = std::make_shared<test::MemoryFileSystem>();
    root->file("boot/hidden", "x").folder("var").file("etc/fstab", "");
    auto boot = std::make_shared<test::MemoryFileSystem>();
    boot->file("vmlinuz", "kernel").folder("efi");
    auto esp = std::make_shared<test::MemoryFileSystem>();
    esp->file("EFI/BOOT/BOOTX64.EFI", "MZ").symlink("up", "../../etc/fstab");
    const MountedGuest guest({{{"/", "", "", "", "", std::nullopt}, root},
                              {{"/boot", "", "", "", "", std::nullopt}, boot},
                              {{"/boot/efi", "", "", "", "", std::nullopt}, esp}});
    CHECK_FALSE(exists(guest, "/boot/hidden"));
    CHECK(guest.read_file("/boot/efi/EFI/BOOT/BOOTX64.EFI", 10) == "MZ");
    CHECK(guest.read_file("/boot/efi/../vmlinuz", 10) == "kernel");
    CHECK(guest.read_file("/boot/efi/up", 10) == "");
    PathSink sink;
    guest.export_tree({{"/var"}, {"/boot/efi/EFI"}}, sink, {});
    CHECK(sink.paths == std::vector<std::string>{"", "boot", "boot/efi", "boot/efi/EFI", "boot/efi/up", "boot/vmlinuz",
                                                 "etc", "etc/fstab"});
}

TEST_CASE("several trees of one file system are mounted in their places, and none shows the others") {
    auto pool = std::make_shared<test::MemoryFileSystem>();
    pool->file("@/etc/hostname", "web01").folder("@/home").symlink("@/up", "../@home/user").file("@home/user/a", "1");
    pool->folder("@/snapshots").file("@snapshots/1/etc/hostname", "old");
    const auto tree = [&](std::string_view name) { return pool->lookup(pool->root(), name).value(); };
    const MountedGuest guest({{{"/", "", "", "", "", std::nullopt}, pool, tree("@")},
                              {{"/home", "", "", "", "", std::nullopt}, pool, tree("@home")}});
    CHECK(guest.read_file("/etc/hostname", 10) == "web01");
    CHECK(guest.read_file("/home/user/a", 10) == "1");
    CHECK_FALSE(exists(guest, "/@home"));
    CHECK_FALSE(exists(guest, "/up")); // the top of its tree is where ".." ends
    CHECK(guest.list("/snapshots") == std::vector<std::string>{});
    PathSink sink;
    guest.export_tree({}, sink, {});
    CHECK(sink.paths ==
          std::vector<std::string>{"", "etc", "etc/hostname", "home", "home/user", "home/user/a", "snapshots", "up"});
}

TEST_CASE("a tree is sorted, and content comes once") {
    test::MemoryFileSystem root;
    root.file("b/two", "2").file("a.txt", "").file("a/one", "1").hard_link("b/one", "a/one").hard_link("z", "a/one");
    const MountedGuest guest = make_guest(std::move(root));
    PathSink sink;
    guest.export_tree({}, sink, {});
    CHECK(sink.paths ==
          std::vector<std::string>{"", "a", "a/one", "a.txt", "b", "b/one = a/one", "b/two", "z = a/one"});
    CHECK(sink.contents == 3);
}

TEST_CASE("a folder that is its own ancestor ends the walk") {
    test::MemoryFileSystem root;
    root.folder("a/b").hard_link("a/b/up", "a");
    const MountedGuest guest = make_guest(std::move(root));
    PathSink sink;
    CHECK_THROWS_AS(guest.export_tree({}, sink, {}), Error);
    CHECK(sink.paths.size() < 10);
}

TEST_CASE("fstab is read as mount(8) reads it") {
    const std::vector<FstabEntry> entries =
        parse_fstab("# comment\n\nUUID=abc / ext4 errors=remount-ro,noatime 0 1\n/dev/sda2\t/with\\040blank\txfs\n"
                    "broken\n/dev/sda3 none swap sw 0 0\n");
    REQUIRE(entries.size() == 3);
    CHECK(entries[0].device == "UUID=abc");
    CHECK(has_option(entries[0], "noatime"));
    CHECK_FALSE(has_option(entries[0], "atime"));
    CHECK(entries[1].mount_point == "/with blank");
    CHECK(entries[2].type == "swap");
    CHECK(normalise_path("//boot/./efi/../x/") == "/boot/x");
    CHECK(normalise_path("/..") == "/");
}

TEST_CASE("entries of fstab are told apart by what holds the files, and whether the guest boots without") {
    const auto entry = [](std::string_view line) { return parse_fstab(line).at(0); };
    CHECK(kind_of_entry(entry("UUID=1 /var xfs defaults 0 2")) == EntryKind::disk);
    CHECK(need_of_entry(entry("UUID=1 /var xfs defaults 0 2")) == MountNeed::required);
    CHECK(need_of_entry(entry("LABEL=d /opt/d ext4 nofail 0 2")) == MountNeed::optional);
    CHECK(need_of_entry(entry("/dev/sdb1 /mnt auto noauto,user 0 0")) == MountNeed::optional);
    for (const char* line : {"nas:/x /home nfs4 rw", ".host:/ /mnt/hgfs fuse.vmhgfs-fuse rw", "share /s vboxsf rw",
                             "/data/home /home none bind", "/dev/sdc1 /iscsi ext4 _netdev"}) {
        CHECK(kind_of_entry(entry(line)) == EntryKind::elsewhere);
        CHECK(need_of_entry(entry(line)) == MountNeed::optional);
    }
    for (const char* line : {"tmpfs /tmp tmpfs rw", "/dev/sr0 /media/cdrom0 auto rw", "UUID=2 none swap sw",
                             "UUID=3 // ext4 rw", "/usr /usr none bind"})
        CHECK(kind_of_entry(entry(line)) == EntryKind::none);
}

TEST_CASE("bind mounts name the folder that they show") {
    const auto folder = [](std::string_view line) { return bound_folder(parse_fstab(line).at(0)); };
    CHECK(folder("/srv/people /home none rw,bind 0 0") == "/srv/people");
    CHECK(folder("/a /b auto rbind") == "/a");
    CHECK(folder("/a /b none bind,noauto").empty());
    CHECK(folder("/a.img /b ext4 loop").empty());
    CHECK(folder("nas:/a /b nfs bind").empty());
}

TEST_CASE("partitions are mounted by their types where nothing else is") {
    DiskLayout layout;
    layout.table.kind = TableKind::gpt;
    const auto add = [&](const char* type, std::uint64_t attributes = 0) {
        Partition partition;
        partition.number = static_cast<unsigned>(layout.table.partitions.size() + 1);
        partition.type = type;
        partition.attributes = attributes;
        Volume volume;
        volume.name = "partition " + std::to_string(partition.number);
        volume.partition = layout.table.partitions.size();
        volume.signature = Signature{ContentKind::file_system, "ext4", "", "", ""};
        layout.table.partitions.push_back(partition);
        layout.volumes.push_back(volume);
    };
    test::MemoryFileSystem root;
    root.folder("usr").folder("srv").file("home/user/notes", "x").folder("var");
    const MountedGuest guest = make_guest(std::move(root));
    add("b0e01050-ee5f-4390-949a-9101b17104e9");                          // usr of arm64
    add("933ac7e1-2eb4-4f13-b844-0e14e2aef915");                          // home, which is not empty
    add("3b8f8425-20e0-4f3b-907f-1a25a76f98e8", std::uint64_t{1} << 63U); // srv, not automatic
    add("4d21b016-b534-45c2-a9fb-5c16e091fd2d");                          // var
    const std::vector<TypedMount> found = find_typed_mounts(layout, {}, guest);
    REQUIRE(found.size() == 2);
    CHECK(found[0].mount_point == "/usr");
    CHECK(found[0].volume == std::optional<std::size_t>(0));
    CHECK(found[1].mount_point == "/var");
    CHECK_FALSE(found[1].volume);
    CHECK(find_typed_mounts(layout, parse_fstab("UUID=1 /usr/ ext4 ro\nUUID=2 /var ext4 rw\n"), guest).empty());
    add("5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"); // a second one for /usr
    CHECK_FALSE(find_typed_mounts(layout, {}, guest)[0].volume);
    // One in which nothing is known is mounted, too, and lacks.
    add("773f91ef-66d4-49b5-bd83-d683bf40ad16"); // a user's home, which no generator mounts
    add("7ec6f557-3bc5-4aca-b293-16ef5df639d1");
    layout.volumes.back().signature.reset();
    const std::vector<TypedMount> unknown = find_typed_mounts(layout, {}, guest);
    REQUIRE(unknown.size() == 3);
    CHECK(unknown[2].mount_point == "/var/tmp");
    layout.table.kind = TableKind::mbr;
    CHECK(find_typed_mounts(layout, {}, guest).empty());
}
