#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/tree/tar_reader.hpp"
#include "tests/support/memory_source.hpp"
#include "tests/unit/tree/tar_members.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <vector>

using namespace vm2oci;

namespace {

Entry file(std::string path, std::uint64_t size) {
    Entry entry;
    entry.path = std::move(path);
    entry.status.size = size;
    return entry;
}

std::string padded(std::string content) {
    content.append(tar_padding(content.size()), '\0');
    return content;
}

// What another writer makes of some files, in a format of its.
std::string foreign(int (*set_format)(archive*), const std::vector<std::pair<std::string, std::string>>& files) {
    std::string out(1 << 20, '\0');
    std::size_t used = 0;
    const std::unique_ptr<archive, int (*)(archive*)> writer(archive_write_new(), archive_write_free);
    set_format(writer.get());
    archive_write_open_memory(writer.get(), out.data(), out.size(), &used);
    for (const auto& [path, content] : files) {
        const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
        archive_entry_set_pathname(entry.get(), path.c_str());
        archive_entry_set_filetype(entry.get(), AE_IFREG);
        archive_entry_set_perm(entry.get(), 0640);
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
        REQUIRE(archive_write_header(writer.get(), entry.get()) == ARCHIVE_OK);
        archive_write_data(writer.get(), content.data(), content.size());
    }
    archive_write_close(writer.get());
    out.resize(used);
    return out;
}

// Changes a header and mends its checksum.
std::string patched(std::string header, std::size_t offset, std::string_view bytes) {
    header.replace(offset, bytes.size(), bytes);
    header.replace(148, 8, "        ");
    unsigned sum = 0;
    for (std::size_t i = 0; i < kTarBlock; ++i)
        sum += static_cast<unsigned char>(header[i]);
    char text[9];
    std::snprintf(text, sizeof text, "%06o", sum);
    header.replace(148, 7, std::string(text) + '\0');
    return header;
}

} // namespace

TEST_CASE("members are found where they lie") {
    Entry folder;
    folder.path = "disk";
    folder.status.type = FileType::directory;
    folder.status.permissions = 0555;
    Entry disk = file("disk/disk.qcow2", 700);
    disk.status.uid = disk.status.gid = 107;
    const std::string archive = tar_header(folder) + tar_header(disk) + padded(std::string(700, 'd')) +
                                tar_header(file("last", 3)) + padded("end") + std::string(kTarEndSize, '\0');
    const std::vector<TarMember> found = test::tar_members(archive);
    REQUIRE(found.size() == 3);
    CHECK(found[0].path == "disk");
    CHECK(found[0].type == TarType::directory);
    CHECK(found[0].permissions == 0555);
    CHECK(found[1].path == "disk/disk.qcow2");
    CHECK(found[1].uid == 107);
    CHECK(archive.substr(found[1].content_offset, found[1].content_size) == std::string(700, 'd'));
    CHECK(archive.substr(found[2].content_offset, found[2].content_size) == "end");
    // Without the closing zeros it is still an archive, as Go has it.
    CHECK(test::tar_members(archive.substr(0, archive.size() - kTarEndSize)).size() == 3);
}

TEST_CASE("other writers' dialects are read") {
    const std::string long_name = std::string(180, 'n') + "/" + std::string(150, 'm');
    for (const auto set_format : {archive_write_set_format_pax, archive_write_set_format_gnutar}) {
        const std::string archive = foreign(set_format, {{"./a", "first"}, {long_name, "second"}, {"c", ""}});
        const std::vector<TarMember> found = test::tar_members(archive);
        REQUIRE(found.size() == 3);
        CHECK(found[0].path == "a");
        CHECK(found[0].permissions == 0640);
        CHECK(found[1].path == long_name);
        CHECK(archive.substr(found[1].content_offset, found[1].content_size) == "second");
        CHECK(found[2].content_size == 0);
    }
    CHECK(test::tar_members(foreign(archive_write_set_format_v7tar, {{"old", "x"}})).at(0).path == "old");
}

TEST_CASE("large sizes, in both forms") {
    const std::uint64_t size = (std::uint64_t{9} << 30) + 5;
    for (const TarSizes sizes : {TarSizes::pax, TarSizes::base256}) {
        const std::string header = tar_header(file("big", size), {}, sizes);
        const test::MemorySource source(header);
        TarReader reader(source);
        const std::optional<TarMember> member = reader.next();
        REQUIRE(member);
        CHECK(member->content_size == size);
        CHECK(member->content_offset == header.size());
    }
}

TEST_CASE("names lose what leads nowhere") {
    for (const char* name : {"a", "./a", "/a", "//a", "././a", "/./a", "a/"})
        CHECK(test::tar_members(tar_header(file(name, 0))).at(0).path == "a");
    CHECK(test::tar_members(tar_header(file("a/../b", 0))).at(0).path == "b");
    CHECK(test::tar_members(tar_header(file("a/..", 0))).at(0).path.empty());
    CHECK(test::tar_members(tar_header(file("etc//x/./y/../z.img", 0))).at(0).path == "etc/x/z.img");
    CHECK(test::tar_members(tar_header(file("etc//x/./y", 0))).at(0).stored_path == "etc//x/./y");
    CHECK(test::tar_members(tar_header(file("...", 0))).at(0).path == "...");
    for (const char* name : {"..", "../a", "/../a", "a/../../b", "./..//a"})
        CHECK(test::tar_refusal(tar_header(file(name, 0))) == ErrorKind::unsafe);
}

TEST_CASE("names without end take neither time nor memory") {
    const auto with_path = [](const std::string& path) {
        const std::string record = "1000000 path=" + path + "\n";
        REQUIRE(record.size() == 1000000);
        char size[12];
        std::snprintf(size, sizeof size, "%011zo", record.size());
        const std::string header = tar_header(file("x", 0));
        return patched(patched(header, 156, "x"), 124, size) + padded(record) + header;
    };
    const std::size_t room = 1000000 - 14;
    CHECK(test::tar_members(with_path(std::string(room - 1, '/') + "a")).at(0).path == "a");
    std::string dots;
    while (dots.size() + 7 < room)
        dots += "./a/../";
    dots.resize(room - 1, '/');
    CHECK(test::tar_members(with_path(dots + "b")).at(0).path == "b");
    CHECK(test::tar_refusal(with_path(std::string(room, 'n'))) == ErrorKind::limit);
    std::string many;
    for (int i = 0; i < 20; ++i)
        many += patched(patched(tar_header(file("x", 0)), 156, "L"), 124, "00000000001") + padded("y");
    CHECK(test::tar_refusal(many + tar_header(file("x", 0))) == ErrorKind::corrupt);
}

TEST_CASE("what is a folder is decided by the name that counts") {
    const std::string slash_at_100 = std::string(99, 'd') + "/";
    const std::string hidden = tar_header(file("disk/second-life.img", 0));
    const auto extended = [](std::string_view type, const std::string& content) {
        char size[12];
        std::snprintf(size, sizeof size, "%011zo", content.size());
        return patched(patched(tar_header(file("e", 0)), 156, type), 124, size) + padded(content);
    };
    const std::string old = patched(tar_header(file("o", 512)), 0, slash_at_100);
    for (const std::string& first : {extended("x", "13 path=real\n"), extended("L", std::string("real\0", 5))})
        for (const std::string_view flag : {std::string_view("0"), std::string_view("\0", 1), std::string_view("7")}) {
            const auto found =
                test::tar_members(first + patched(old, 156, flag) + hidden + tar_header(file("next", 0)));
            REQUIRE(found.size() == 2);
            CHECK(found[0].path == "real");
            CHECK(found[0].type == TarType::regular);
            CHECK(found[0].content_size == 512);
            CHECK(found[1].path == "next");
        }
    const std::string_view v7("\0", 1);
    CHECK(test::tar_members(patched(tar_header(file("x/", 0)), 156, v7)).at(0).type == TarType::directory);
    CHECK(test::tar_members(extended("x", "11 path=y/\n") + patched(tar_header(file("x", 0)), 156, v7)).at(0).type ==
          TarType::directory);
    // Go takes such a folder's content as headers, others skip it.
    CHECK(test::tar_refusal(patched(tar_header(file("x/", 512)), 156, v7) + hidden) == ErrorKind::corrupt);
    CHECK(test::tar_members(tar_header(file("x/", 512)) + hidden).size() == 1);
    CHECK(test::tar_members(tar_header(file("x/", 0))).at(0).type == TarType::regular);
}

TEST_CASE("several names of one member count as in Go") {
    const auto extended = [](std::string_view type, const std::string& content) {
        char size[12];
        std::snprintf(size, sizeof size, "%011zo", content.size());
        return patched(patched(tar_header(file("e", 0)), 156, type), 124, size) + padded(content);
    };
    const std::string header = tar_header(file("old", 0));
    const std::string gnu = extended("L", std::string("gnu\0", 4));
    const std::string pax = extended("x", "12 path=pax\n");
    CHECK(test::tar_members(gnu + pax + header).at(0).path == "gnu");
    CHECK(test::tar_members(pax + gnu + header).at(0).path == "gnu");
    CHECK(test::tar_members(pax + extended("x", "8 uid=5\n") + header).at(0).path == "old");
    CHECK(test::tar_members(extended("x", "8 path=\n") + header).at(0).path == "old");
    CHECK(test::tar_refusal(pax + extended("g", "13 comment=x\n") + header) == ErrorKind::unsupported);
    CHECK(test::tar_members(patched(header, 345, "folder")).at(0).path == "folder/old");
    CHECK(test::tar_refusal(patched(patched(header, 257, std::string_view("ustar  \0", 8)), 345, "folder")) ==
          ErrorKind::unsupported);
}

TEST_CASE("links and devices have no content, whatever their size field says") {
    const std::string header = tar_header(file("x", 512));
    for (const char* type : {"1", "2", "3", "4", "5", "6"}) {
        const std::vector<TarMember> found =
            test::tar_members(patched(header, 156, type) + tar_header(file("next", 0)));
        REQUIRE(found.size() == 2);
        CHECK(found[0].content_size == 0);
        CHECK(found[1].path == "next");
    }
}

TEST_CASE("nonsense is refused") {
    const std::string header = tar_header(file("x", 5));
    std::string broken = header;
    broken[0] = 'y';
    CHECK(test::tar_refusal(broken) == ErrorKind::corrupt);
    CHECK(test::tar_refusal(header.substr(0, 300)) == ErrorKind::corrupt);
    CHECK(test::tar_refusal(std::string(kTarBlock, 'z')) == ErrorKind::corrupt);
    CHECK(test::tar_refusal(patched(header, 124, "00000000009")) == ErrorKind::corrupt);
    CHECK(test::tar_refusal(patched(header, 124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")) ==
          ErrorKind::corrupt);
    CHECK(test::tar_refusal(patched(header, 124, "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")) ==
          ErrorKind::corrupt);
    CHECK(test::tar_refusal(patched(header, 156, "S")) == ErrorKind::corrupt);
    // An extended header that never ends, and one that is all there is.
    CHECK(test::tar_refusal(patched(patched(header, 156, "x"), 124, "07777777777")) == ErrorKind::limit);
    CHECK(test::tar_refusal(patched(patched(header, 156, "L"), 124, "00000000005") + padded("name")) ==
          ErrorKind::corrupt);
    for (const char* record :
         {"5 a=b", "99 a=b\n", "0 a=b\n", "x", "6 a=bc\n", "5 ab\n", "18446744073709551616 a=b\n", "-1 a=b\n"}) {
        const std::string content = record;
        char size[12];
        std::snprintf(size, sizeof size, "%011zo", content.size());
        INFO(record);
        CHECK(test::tar_refusal(patched(patched(header, 156, "x"), 124, size) + padded(content) + header) ==
              ErrorKind::corrupt);
    }
    const auto with_record = [&](std::string_view type, const std::string& content) {
        char size[12];
        std::snprintf(size, sizeof size, "%011zo", content.size());
        return patched(patched(header, 156, type), 124, size) + padded(content) + header;
    };
    CHECK(test::tar_refusal(with_record("x", "11 size=-1\n")) == ErrorKind::corrupt);
    CHECK(test::tar_refusal(with_record("x", "22 GNU.sparse.major=1\n")) == ErrorKind::unsupported);
    CHECK(test::tar_refusal(with_record("g", "9 path=y\n")) == ErrorKind::unsupported);
    CHECK(test::tar_members(with_record("g", "13 comment=x\n")).size() == 1);
    CHECK(test::tar_members(with_record("x", "9 path=y\n")).at(0).path == "y");
}

TEST_CASE("what a file system stores of a member") {
    Entry entry = file("x", 0);
    entry.status.modified = {-2, 500'000'000};
    entry.attributes = {{"security.capability", std::string("\1\0=\n", 4)}, {"user.a", "b"}};
    Entry device;
    device.path = "dev";
    device.status.type = FileType::character_device;
    device.status.device_major = 5;
    device.status.device_minor = 1;
    device.status.modified = {1234567890, 123456789};
    const auto found = test::tar_members(tar_header(entry) + tar_header(device));
    REQUIRE(found.size() == 2);
    CHECK(found[0].modified == Timestamp{-2, 500'000'000});
    CHECK(found[0].attributes == entry.attributes);
    CHECK(found[1].modified == Timestamp{1234567890, 123456789});
    CHECK(found[1].device_major == 5);
    CHECK(found[1].device_minor == 1);
    CHECK(found[1].attributes.empty());
}

TEST_CASE("what runtimes do not unpack for its type is told by it") {
    const std::string plain = tar_header(file("disk/d.img", 3));
    const auto foreign_type = [&](std::string_view flag) {
        return test::tar_members(patched(plain, 156, flag) + padded("abc")).at(0).foreign_type;
    };
    CHECK(foreign_type("0") == '\0');
    CHECK(foreign_type(std::string_view("\0", 1)) == '\0');
    CHECK(test::tar_members(patched(tar_header(file("disk", 0)), 156, "5")).at(0).foreign_type == '\0');
    for (const char* flag : {"7", "V", "M", "D", "N", "X", "8", "Z"}) {
        INFO(flag);
        CHECK(foreign_type(flag) == *flag);
    }
    CHECK(test::tar_members(patched(plain, 156, "7") + padded("abc")).at(0).content_size == 3);
}
