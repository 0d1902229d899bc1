#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"
#include "formats/block/overlay.hpp"
#include "formats/ext4/editor.hpp"
#include "formats/ext4/file_system.hpp"
#include "tests/support/collecting_sink.hpp"
#include "tests/unit/ext4/ext4_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::find_path;

namespace {

// An image of the corpus being edited.
struct Edited {
    std::shared_ptr<OverlayDevice> overlay;
    Ext4Editor editor;

    explicit Edited(const std::string& file, std::int64_t time = 1'700'000'000)
        : overlay(std::make_shared<OverlayDevice>(test::ext4_corpus().open(file))), editor(overlay, *overlay, time) {}

    void write(const std::string& path, const std::string& content, const FileAttributes& attributes = {}) {
        editor.write_file(path, content.size(), test::TextContent(content), attributes);
    }
    std::string digest() const {
        Sha256 hash;
        std::vector<std::byte> buffer(64 * 1024);
        for (std::uint64_t at = 0; at < overlay->size(); at += buffer.size()) {
            const std::size_t step =
                static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), overlay->size() - at));
            overlay->read_at(at, std::span(buffer).first(step));
            hash.update(std::span(buffer).first(step));
        }
        return to_hex(hash.finish());
    }
};

std::string content(const FileSystem& files, std::string_view path) {
    return test::content_of(files, find_path(files, path).value());
}

const char* const kGood[] = {"ext4/good_1k.img",         "ext4/good_64bit_off.img",       "ext4/good_bigalloc.img",
                             "ext4/good_default.img",    "ext4/good_encrypt_feature.img", "ext4/good_ext2.img",
                             "ext4/good_flexbg_off.img", "ext4/good_inode128.img",        "ext4/good_no_csum.img"};

} // namespace

TEST_CASE("Every kind of ext4 takes every kind of change") {
    const std::string image = GENERATE(from_range(std::begin(kGood), std::end(kGood)));
    INFO(image);
    Edited edited(image);
    const std::string large(200'000, 'x');
    edited.write("etc/new", "hello\n", {0600, 70'000, 5, {}});
    edited.write("etc/large", large);
    edited.editor.append_file("etc/new", "world\n");
    edited.editor.make_folder("etc/folder", {0750, {}, {}, {}});
    edited.editor.make_symlink("etc/folder/short", "../new", "");
    edited.editor.make_symlink("etc/folder/long", std::string(200, 'l'), "");
    const std::string name(240, 'n'); // few files, and a folder of several blocks all the same
    for (int i = 0; i < 40; ++i)
        edited.write("etc/folder/" + name + std::to_string(i), std::to_string(i));
    edited.write("etc/gone", large);
    edited.editor.remove("etc/gone");
    edited.editor.make_folder("etc/tree", {});
    edited.editor.make_folder("etc/tree/below", {});
    edited.write("etc/tree/below/file", "x");
    edited.editor.remove("etc/tree");
    edited.editor.finish();

    const Ext4FileSystem files(edited.overlay);
    CHECK(content(files, "etc/new") == "hello\nworld\n");
    CHECK(content(files, "etc/large") == large);
    const FileStatus status = files.status(find_path(files, "etc/new").value());
    CHECK(status.permissions == 0600);
    CHECK(status.uid == 70'000);
    CHECK(status.gid == 5);
    CHECK(status.modified.seconds == 1'700'000'000);
    CHECK(files.status(find_path(files, "etc/folder").value()).permissions == 0750);
    CHECK(files.read_link(find_path(files, "etc/folder/short").value()) == "../new");
    CHECK(files.read_link(find_path(files, "etc/folder/long").value()) == std::string(200, 'l'));
    CHECK(content(files, "etc/folder/" + name + "39") == "39");
    CHECK(files.list(find_path(files, "etc/folder").value()).size() == 42);
    CHECK_FALSE(find_path(files, "etc/gone"));
    CHECK_FALSE(find_path(files, "etc/tree"));
}

TEST_CASE("A file system without extended attributes takes changes, labels left out") {
    constexpr std::uint64_t kCompatible = 1024 + 0x5c; // s_feature_compat
    constexpr std::uint8_t kExtendedAttributes = 0x08;
    const auto overlay = std::make_shared<OverlayDevice>(test::ext4_corpus().open("ext4/good_ext2.img"));
    std::byte features[1];
    overlay->read_at(kCompatible, features);
    REQUIRE((std::to_integer<unsigned>(features[0]) & kExtendedAttributes) != 0);
    features[0] &= ~std::byte{kExtendedAttributes};
    overlay->write_at(kCompatible, features);

    Ext4Editor editor(overlay, *overlay, 1'700'000'000);
    FileAttributes labelled;
    labelled.selinux_label = "system_u:object_r:etc_t:s0";
    editor.write_file("etc/new", 6, test::TextContent("hello\n"), labelled);
    editor.write_file("etc/hostname", 4, test::TextContent("new\n"), {});
    editor.make_folder("etc/folder", {});
    editor.make_symlink("etc/folder/link", "../new", "system_u:object_r:etc_t:s0");
    editor.finish();
    const Ext4FileSystem files(overlay);
    CHECK(content(files, "etc/new") == "hello\n");
    CHECK(content(files, "etc/hostname") == "new\n");
    CHECK(files.read_link(find_path(files, "etc/folder/link").value()) == "../new");
}

TEST_CASE("A replaced file keeps mode and owner, and its other names keep the old content") {
    Edited edited("ext4/good_default.img");
    const std::string old = content(Ext4FileSystem(edited.overlay), "usr/lib/os-release");
    edited.write("usr/lib/blob", "small");
    edited.write("etc/os-release", "replaced");
    edited.editor.finish();
    const Ext4FileSystem files(edited.overlay);
    CHECK(content(files, "usr/lib/blob") == "small");
    CHECK(files.status(find_path(files, "usr/lib/blob").value()).permissions == 04755);
    CHECK(content(files, "etc/os-release") == "replaced");
    CHECK(content(files, "usr/lib/os-release") == old);
    CHECK(files.status(find_path(files, "usr/lib/os-release").value()).link_count == 1);
}

TEST_CASE("Equal edits are equal bytes, with a given time and without") {
    const auto digest = [](std::int64_t time) {
        Edited edited("ext4/good_default.img", time);
        edited.write("etc/hostname", "x\n");
        edited.editor.make_folder("etc/d", {});
        edited.editor.remove("usr/lib/blob");
        edited.editor.finish();
        return edited.digest();
    };
    CHECK(digest(1'700'000'000) == digest(1'700'000'000));
    CHECK(digest(0) == digest(0));
    CHECK(digest(1) != digest(2));
}

TEST_CASE("What a removed file held is gone from the disk") {
    Edited edited("ext4/good_default.img");
    edited.write("etc/secret", "a-very-secret-key-a-very-secret-key");
    edited.editor.remove("etc/secret");
    edited.editor.finish();
    std::vector<std::byte> all(edited.overlay->size());
    edited.overlay->read_at(0, all);
    CHECK(as_text(all).find("a-very-secret-key") == std::string_view::npos);
}

TEST_CASE("A full file system says so") {
    Edited edited("ext4/good_default.img");
    const std::string huge(64 * 1024 * 1024, 'x');
    try {
        for (int i = 0; i < 64; ++i)
            edited.write("etc/huge" + std::to_string(i), huge);
        FAIL("it never became full");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::limit);
        CHECK_THAT(error.what(), Catch::Contains("full"));
    }
}

TEST_CASE("What may not be written is refused") {
    Edited edited("ext4/hostname_is_dir.img");
    CHECK_THROWS_WITH(edited.write("etc/hostname", "x"), Catch::Contains("no regular file"));
    edited.write("etc/file", "x");
    CHECK_THROWS_WITH(edited.write("etc/file/x", "x"), Catch::Contains("no folder"));
    CHECK_THROWS_AS(edited.editor.make_folder("etc", {}), Error);
    CHECK_THROWS_AS(edited.write("etc/../x", "x"), Error);
    CHECK_NOTHROW(edited.editor.remove("etc/nothing"));
}

TEST_CASE("File systems that cannot be written right are named before a byte is changed") {
    for (const auto& [image, word] :
         {std::pair("ext4/sb_recover_needed.img", "journal"), std::pair("ext4/good_ea_inode.img", "ea_inode")}) {
        INFO(image);
        const auto reason = reason_not_to_edit_ext4(test::ext4_corpus().open(image));
        REQUIRE(reason);
        CHECK_THAT(*reason, Catch::Contains(word));
        CHECK_THROWS_AS(Edited(image), Error);
    }
    CHECK_FALSE(reason_not_to_edit_ext4(test::ext4_corpus().open("ext4/good_default.img")));
}

TEST_CASE("Folders in circles end in a word, and in bounded time") {
    for (const char* image : {"ext4/dirloop_self.img", "ext4/dirloop_parent.img", "ext4/dirloop_root.img",
                              "ext4/dirent_inode_huge.img", "ext4/dirent_inode_reserved.img"}) {
        INFO(image);
        const auto device = test::ext4_corpus().open(image);
        if (reason_not_to_edit_ext4(device))
            continue;
        const Ext4FileSystem files(device);
        std::vector<std::string> names;
        for (const DirectoryEntry& entry : files.list(files.root()))
            if (entry.name != "lost+found")
                names.push_back(entry.name);
        Edited edited(image);
        try {
            for (const std::string& name : names)
                edited.editor.remove(name);
            edited.editor.finish();
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::corrupt);
        }
    }
}
