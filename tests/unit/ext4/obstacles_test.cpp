#include "formats/block/overlay.hpp"
#include "formats/ext4/editor.hpp"
#include "tests/unit/ext4/ext4_fixture.hpp"

using namespace vm2oci;
using test::Ext4Image;

namespace {

std::string feature(const char* name) {
    return std::string("the guest's file system has the feature '") + name + "', with which it cannot be written here";
}
std::string newer(const char* bits) {
    return std::string("the guest's file system has features (bits ") + bits +
           ") that are newer than this program: it can be read, and not be written";
}

const std::string kJournal = "the guest's file system was not unmounted, and its journal waits to be replayed: shut "
                             "the guest down cleanly, or run e2fsck on it";
const std::string kErrors = "the guest's file system is marked as having errors: run e2fsck on it first";
const std::string kOrphans = "the guest's file system has files that are half removed: shut the guest down cleanly, "
                             "or run e2fsck on it";

// An image being edited; what it shows once it is finished.
struct Edit {
    std::shared_ptr<OverlayDevice> disk;
    Ext4Editor editor;

    explicit Edit(const Ext4Image& image, std::int64_t time = 1'700'000'000)
        : disk(std::make_shared<OverlayDevice>(image.device())), editor(disk, *disk, time) {}

    void write(const std::string& path, const std::string& text, const FileAttributes& attributes = {}) {
        editor.write_file(path, text.size(), test::TextContent(text), attributes);
    }
    Ext4FileSystem finish() {
        editor.finish();
        return Ext4FileSystem(disk);
    }
    std::string refusal(const std::string& path) {
        return test::refusal_of([&] {
            write(path, "x");
            return 0;
        });
    }
    std::uint64_t le(std::uint64_t offset, std::size_t width) const {
        std::vector<std::byte> bytes(8);
        disk->read_at(offset, std::span(bytes).first(width));
        return load_le<std::uint64_t>(bytes.data());
    }
};

Timestamp modified(const FileSystem& files, std::string_view path) {
    return files.status(test::find_path(files, path).value()).modified;
}

} // namespace

TEST_CASE("what keeps a file system from being changed is said before anything is") {
    const struct {
        std::uint64_t field;
        std::size_t width;
        std::uint64_t bits; // beside those that are there
        std::string said;
    } rows[] = {
        {96, 4, 0x4, kJournal},
        {58, 2, 0x2, kErrors},
        {0xe8, 4, 12, kOrphans},
        {100, 4, 0x10000, kOrphans}, // orphan_present
        {100, 4, 0x80, feature("snapshot")},
        {100, 4, 0x100, feature("quota")},
        {100, 4, 0x800, feature("replica")},
        {100, 4, 0x1000, feature("read-only")},
        {100, 4, 0x2000, feature("project")},
        {100, 4, 0x4000, feature("shared_blocks")},
        {100, 4, 0x20000, newer("0x20000")},
        {100, 4, 0x80040000, newer("0x80040000")},
        {96, 4, 0x400, feature("ea_inode")},
        {96, 4, 0x8000, feature("inline_data")},
        {96, 4, 0x10000, ""}, // encrypt: refused for a folder or file that is
        {96, 4, 0x4000, ""},  // large_dir
        {92, 4, 0x400, ""},   // fast_commit, and the journal is clean
        {100, 4, 0x8000, ""}, // verity
    };
    for (const auto& row : rows) {
        CAPTURE(row.field, row.bits);
        Ext4Image image;
        const std::uint64_t at = Ext4Image::super(row.field);
        image.put_le(at, row.width, image.le(at, row.width) | row.bits);
        const auto device = image.device();
        const std::optional<std::string> reason = reason_not_to_edit_ext4(device);
        CHECK(reason.value_or("") == row.said);
        CHECK(test::refusal_of([&] { return Edit(image).disk; }) ==
              (row.said.empty() ? "accepted" : "unsupported: " + row.said));
    }
    Ext4Image in_use; // without a journal this is what a machine leaves that was switched off
    in_use.put_le(Ext4Image::super(58), 2, 0);
    CHECK(reason_not_to_edit_ext4(in_use.device()) == kErrors);
}

TEST_CASE("changed and new files bear the time that is given, or that of the last write") {
    const struct {
        std::int64_t given;
        std::uint32_t written; // of the superblock
        std::uint32_t made;
        std::int64_t borne;
    } rows[] = {
        {1'234'567'890, 5, 5, 1'234'567'890},
        {1, 5, 5, 1},
        {0, 1'000, 2'000, 2'000},
        {0, 3'000, 2'000, 3'000},
        {0, 0, 0, 1},
        {-5, 3'000, 2'000, 3'000},
        {0x7fffffff, 5, 5, 0x7fffffff},
        {0x80000000, 5, 5, 0x80000000}, // after January 2038
        {0x100000000, 5, 5, 0x100000000},
        {0x37fffffff, 5, 5, 0x37fffffff}, // the last second
        {0x380000000, 5, 5, 0x37fffffff},
        {std::int64_t{1} << 60, 5, 5, 0x37fffffff},
    };
    for (const auto& row : rows) {
        CAPTURE(row.given, row.written, row.made);
        Ext4Image image;
        image.put_le(Ext4Image::super(0x30), 4, row.written);
        image.put_le(Ext4Image::super(0x108), 4, row.made);
        Edit edit(image, row.given);
        edit.write("etc/new", "x");
        edit.write("usr/lib/blob", "x");
        edit.editor.make_folder("etc/folder", {});
        edit.editor.make_symlink("etc/link", "x", "");
        edit.editor.make_symlink("etc/long", std::string(99, 'l'), "");
        const Ext4FileSystem files = edit.finish();
        for (const char* path : {"etc/new", "usr/lib/blob", "etc", "etc/folder", "etc/link", "etc/long"}) {
            CAPTURE(path);
            CHECK(modified(files, path).seconds == row.borne);
        }
        // Access, change and birth, each with its upper half.
        for (const char* path : {"etc/new", "etc/folder", "etc/link"}) {
            CAPTURE(path);
            const auto number = static_cast<std::uint32_t>(test::find_path(files, path).value());
            const std::uint64_t inode = image.inode(number);
            const std::uint64_t upper = static_cast<std::uint64_t>(row.borne + 0x80000000) >> 32;
            for (const auto& [low, high] : {std::pair(0x8u, 0x8cu), {0xcu, 0x84u}, {0x90u, 0x94u}}) {
                CAPTURE(low);
                CHECK(edit.le(inode + low, 4) == (static_cast<std::uint64_t>(row.borne) & 0xffffffff));
                CHECK((edit.le(inode + high, 4) & 3) == upper);
            }
        }
        CHECK(modified(files, "usr").seconds == 1'700'000'000); // what nobody touched
    }
}

TEST_CASE("inodes of 128 bytes bear what fits into 32 bits") {
    Edit edit(Ext4Image("ext4/good_inode128.img"), 1'900'000'000);
    edit.write("etc/new", "x", {0640, 100'000, 200'000, {}});
    const Ext4FileSystem files = edit.finish();
    const FileStatus status = files.status(test::find_path(files, "etc/new").value());
    CHECK(status.modified == Timestamp{1'900'000'000, 0});
    CHECK(status.uid == 100'000);
    CHECK(status.gid == 200'000);
    CHECK(status.permissions == 0640);
}

TEST_CASE("attributes that are not given stay as they are, and new files have the usual ones") {
    Edit edit(Ext4Image{});
    edit.write("etc/new", "x");
    edit.editor.make_folder("etc/folder", {});
    edit.write("usr/lib/blob", "y", {{}, 12, {}, {}});
    edit.write("etc/bits", "x", {06755u | 0170000u, {}, {}, {}}); // nothing but the bits of permission
    const Ext4FileSystem files = edit.finish();
    const auto status = [&](const char* path) { return files.status(test::find_path(files, path).value()); };
    CHECK(status("etc/new").permissions == 0644);
    CHECK(status("etc/new").uid == 0);
    CHECK(status("etc/new").link_count == 1);
    CHECK(status("etc/folder").permissions == 0755);
    CHECK(status("etc/folder").link_count == 2);
    CHECK(status("usr/lib/blob").permissions == 04755);
    CHECK(status("usr/lib/blob").uid == 12);
    CHECK(status("usr/lib/blob").gid == 0);
    CHECK(status("etc/bits").permissions == 06755);
    CHECK(status("etc/bits").type == FileType::regular);
}

TEST_CASE("a removed file and folder give back what they took") {
    for (const char* file : {"ext4/good_default.img", "ext4/good_ext2.img", "ext4/good_bigalloc.img",
                             "ext4/good_no_csum.img", "ext4/good_inode128.img"}) {
        CAPTURE(file);
        const Ext4Image image(file);
        const FileSystemUsage before = image.open()->usage();
        const std::uint32_t links = image.open()->status(test::node(test::kEtc)).link_count;
        Edit edit(image);
        edit.editor.make_folder("etc/tree", {});
        edit.editor.make_folder("etc/tree/below", {});
        edit.write("etc/tree/below/file", std::string(70'000, 'x'));
        edit.editor.make_symlink("etc/tree/long", std::string(100, 'l'), "");
        edit.editor.remove("etc/tree");
        edit.write("etc/twice", std::string(50'000, 'x'));
        edit.write("etc/twice", "");
        edit.editor.remove("etc/twice");
        const Ext4FileSystem files = edit.finish();
        CHECK(files.usage().free_bytes == before.free_bytes);
        CHECK(files.usage().free_inodes == before.free_inodes);
        CHECK(files.status(test::node(test::kEtc)).link_count == links);
        CHECK(files.free_space()); // which compares bitmaps, descriptors and superblock
    }
}

TEST_CASE("a removed inode says when, and has neither names nor content") {
    Edit edit(Ext4Image{}, 1'800'000'000);
    Ext4Image image;
    edit.editor.remove("usr/lib/blob");
    edit.editor.finish();
    const std::uint64_t inode = image.inode(test::kBlob);
    CHECK(edit.le(inode + 0x14, 4) == 1'800'000'000); // i_dtime
    CHECK(edit.le(inode + test::kLinksAt, 2) == 0);
    CHECK(edit.le(inode + test::kSizeAt, 4) == 0);
    CHECK(edit.le(inode + test::kBlockCountAt, 4) == 0);
    CHECK((edit.le(inode + test::kFlagsAt, 4) & test::kFlagExtents) == 0);
    for (std::uint64_t i = 0; i < 60; i += 4)
        CHECK(edit.le(inode + test::kBlockAt + i, 4) == 0);
    // Nothing is left of what it held, and its blocks take no place.
    const std::uint64_t content = image.content(test::kBlob);
    std::vector<std::byte> bytes(9 * 1024);
    edit.disk->read_at(content, bytes);
    CHECK(is_zero(bytes));
}

TEST_CASE("one name of several is removed, and the file stays") {
    Edit edit(Ext4Image{});
    edit.editor.remove("etc/os-release");
    const Ext4FileSystem files = edit.finish();
    CHECK_FALSE(test::find_path(files, "etc/os-release"));
    const NodeId kept = test::find_path(files, "usr/lib/os-release").value();
    CHECK(files.status(kept).link_count == 1);
    CHECK(test::content_of(files, kept).size() == 24);
    CHECK(files.free_space());
}

TEST_CASE("paths that lead through something else than folders are refused") {
    const struct {
        std::string path;
        std::string said;
    } rows[] = {
        {"", "usage: '' is no path in a file system"},
        {"/etc/x", "usage: '/etc/x' is no path in a file system"},
        {"etc/", "usage: '' is no path in a file system"},
        {"etc//x", "usage: '/x' is no path in a file system"},
        {".", "usage: '.' is no path in a file system"},
        {"etc/..", "usage: '..' is no path in a file system"},
        {"../x", "usage: '../x' is no path in a file system"},
        {std::string(256, 'n'), "usage: '" + std::string(256, 'n') + "' is no path in a file system"},
        {"missing/x", "unsafe: 'missing' in the guest is no folder"},
        {"bin/x", "unsafe: 'bin' in the guest is no folder"}, // a link to one
        {"usr/lib/blob/x", "unsafe: 'blob' in the guest is no folder"},
        {"bin", "unsafe: cannot write 'bin' in the guest: it is no regular file"},
        {"dev_null", "unsafe: cannot write 'dev_null' in the guest: it is no regular file"},
        {"pipe", "unsafe: cannot write 'pipe' in the guest: it is no regular file"},
        {"etc", "unsafe: cannot write 'etc' in the guest: it is no regular file"},
        {std::string(255, 'n'), "accepted"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.path);
        Edit edit(Ext4Image{});
        CHECK(edit.refusal(row.path) == row.said);
    }
    Edit edit(Ext4Image{});
    const auto said = [&](auto&& body) {
        return test::refusal_of([&] {
            body();
            return 0;
        });
    };
    CHECK_THAT(said([&] { edit.editor.append_file("etc/none", "x"); }),
               Catch::StartsWith("not_found: the guest has no file "));
    CHECK_THAT(said([&] { edit.editor.append_file("pipe", "x"); }), Catch::StartsWith("unsafe: cannot write "));
    CHECK_THAT(said([&] { edit.editor.make_folder("bin", {}); }), Catch::StartsWith("unsafe: cannot make the folder "));
    CHECK_THAT(said([&] { edit.editor.make_symlink("etc", "x", ""); }),
               Catch::StartsWith("unsafe: cannot put a symbolic link at "));
    CHECK_THAT(said([&] { edit.editor.remove("bin/x"); }), Catch::StartsWith("unsafe: "));
    CHECK(said([&] { edit.editor.remove("etc/none"); }) == "accepted");
}

TEST_CASE("files and folders that ext4 encrypts, compresses or seals are not written") {
    for (const std::uint32_t flag : {0x800u, 0x200u, 0x100000u, 0x200000u}) {
        CAPTURE(flag);
        Ext4Image image;
        image.put_le(image.inode(test::kBlob, test::kFlagsAt), 4, test::kFlagExtents | flag);
        CHECK_THAT(Edit(image).refusal("usr/lib/blob"),
                   Catch::StartsWith("unsupported: cannot write ") &&
                       Catch::EndsWith(" in the guest: it is encrypted, compressed or sealed"));
    }
    for (const std::uint32_t flag : {0x800u, 0x200u, 0x100000u, 0x40000000u}) {
        CAPTURE(flag);
        Ext4Image image;
        image.put_le(image.inode(test::kEtc, test::kFlagsAt), 4, test::kFlagExtents | flag);
        CHECK(Edit(image).refusal("etc/new") ==
              "unsupported: a folder of the guest is encrypted or ignores case, and cannot be written");
    }
}

TEST_CASE("a content that is not as long as it was said is refused") {
    for (const std::uint64_t size : {0u, 2u, 4u, 5u}) {
        CAPTURE(size);
        Edit edit(Ext4Image{});
        CHECK(test::refusal_of([&] {
                  edit.editor.write_file("etc/new", size, test::TextContent("abc"), {});
                  return 0;
              }) == "io: a file changed while it was copied into the guest; try again");
    }
}

TEST_CASE("appending goes on where the file ends, in the middle of a block and at its edge") {
    for (const std::size_t size : {0u, 1u, 1023u, 1024u, 1025u, 12'288u, 20'000u}) {
        CAPTURE(size);
        for (const char* file : {"ext4/good_default.img", "ext4/good_ext2.img"}) {
            Edit edit{Ext4Image(file)};
            edit.write("etc/new", std::string(size, 'a'));
            edit.editor.append_file("etc/new", "");
            edit.editor.append_file("etc/new", std::string(1500, 'b'));
            edit.editor.append_file("etc/new", "c");
            const Ext4FileSystem files = edit.finish();
            CHECK(test::content_of(files, test::find_path(files, "etc/new").value()) ==
                  std::string(size, 'a') + std::string(1500, 'b') + "c");
        }
    }
}
