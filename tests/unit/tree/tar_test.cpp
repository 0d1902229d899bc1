#include "formats/base/error.hpp"
#include "formats/tree/tar.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch.hpp>

#include <memory>

using namespace vm2oci;

namespace {

Entry file(std::string path, std::uint64_t size = 0) {
    Entry entry;
    entry.path = std::move(path);
    entry.status.permissions = 0444;
    entry.status.uid = 107;
    entry.status.gid = 107;
    entry.status.size = size;
    return entry;
}

// What another reader makes of a header.
struct Read {
    std::unique_ptr<archive, int (*)(archive*)> reader{archive_read_new(), archive_read_free};
    archive_entry* entry = nullptr;
    std::string text;

    explicit Read(std::string header) : text(std::move(header) + std::string(kTarEndSize, '\0')) {
        archive_read_support_format_tar(reader.get());
        REQUIRE(archive_read_open_memory(reader.get(), text.data(), text.size()) == ARCHIVE_OK);
        REQUIRE(archive_read_next_header(reader.get(), &entry) == ARCHIVE_OK);
    }
};

} // namespace

TEST_CASE("the head of a containerDisk layer is plain ustar") {
    Entry folder;
    folder.path = "disk";
    folder.status.type = FileType::directory;
    folder.status.permissions = 0555;
    folder.status.uid = folder.status.gid = 107;
    const std::string header = tar_header(folder, {"qemu", "qemu"});
    REQUIRE(header.size() == kTarBlock);
    CHECK(header.substr(0, 6) == std::string("disk/\0", 6));
    CHECK(header.substr(100, 8) == std::string("0000555\0", 8));
    CHECK(header.substr(108, 8) == std::string("0000153\0", 8));
    CHECK(header.substr(257, 8) == std::string("ustar\00000", 8));
    const Read read(header);
    CHECK(std::string(archive_entry_pathname(read.entry)) == "disk/");
    CHECK(archive_entry_filetype(read.entry) == AE_IFDIR);
    CHECK(std::string(archive_entry_uname(read.entry)) == "qemu");

    const Read disk(tar_header(file("disk/disk.qcow2", 123456789), {"qemu", "qemu"}));
    CHECK(archive_entry_size(disk.entry) == 123456789);
    CHECK(archive_entry_perm(disk.entry) == 0444);
    CHECK(archive_entry_uid(disk.entry) == 107);
    CHECK(archive_entry_mtime(disk.entry) == 0);
}

TEST_CASE("sizes from 8 GiB on are pax records") {
    constexpr std::uint64_t limit = std::uint64_t{8} << 30;
    CHECK(tar_header(file("x", limit - 1)).size() == kTarBlock);
    const std::string header = tar_header(file("x", limit));
    CHECK(header.size() == 3 * kTarBlock);
    CHECK(header.substr(512, 19) == "19 size=8589934592\n");
    CHECK(archive_entry_size(Read(header).entry) == static_cast<la_int64_t>(limit));
}

TEST_CASE("long names use the prefix, then pax") {
    const std::string prefixed = std::string(120, 'a') + "/" + std::string(99, 'b');
    CHECK(tar_header(file(prefixed)).size() == kTarBlock);
    CHECK(std::string(archive_entry_pathname(Read(tar_header(file(prefixed))).entry)) == prefixed);
    const std::string longer = std::string(120, 'a') + "/" + std::string(101, 'b');
    CHECK(tar_header(file(longer)).size() == 3 * kTarBlock);
    CHECK(std::string(archive_entry_pathname(Read(tar_header(file(longer))).entry)) == longer);
    // The length of a record counts its own digits: around 100 bytes they become one more.
    for (std::size_t length = 85; length < 115; ++length) {
        const std::string target(length, 't');
        Entry link = file("l");
        link.status.type = FileType::symlink;
        link.link_target = target;
        CHECK(std::string(archive_entry_symlink(Read(tar_header(link)).entry)) == target);
    }
}

TEST_CASE("names are kept byte for byte") {
    const std::string odd = "caf\xe9/\xff\x01";
    const std::string header = tar_header(file(odd));
    CHECK(header.find("21 hdrcharset=BINARY\n") != std::string::npos);
    CHECK(std::string(archive_entry_pathname(Read(header).entry)) == odd);
    const std::string accent = "caf\xc3\xa9";
    CHECK(tar_header(file(accent)).find("hdrcharset") == std::string::npos);
    CHECK(tar_header(file(accent)).find("14 path=caf\xc3\xa9\n") != std::string::npos);
    CHECK_THROWS_AS(tar_header(file(std::string("a\0b", 3))), Error);
}

TEST_CASE("times before 1970, after 2242 and with fractions") {
    const auto record = [](std::int64_t seconds, std::uint32_t nanoseconds) {
        Entry entry = file("x");
        entry.status.modified = {seconds, nanoseconds};
        const std::string header = tar_header(entry);
        const std::size_t at = header.find("mtime=");
        if (at == std::string::npos)
            return std::string();
        CHECK(archive_entry_mtime(Read(header).entry) == seconds);
        return header.substr(at + 6, header.find('\n', at) - at - 6);
    };
    CHECK(record(0, 0).empty());
    CHECK(record(8589934591, 0).empty());
    CHECK(record(8589934592, 0) == "8589934592");
    CHECK(record(-1, 0) == "-1");
    CHECK(record(5, 250'000'000) == "5.25");
    CHECK(record(5, 1) == "5.000000001");
    const auto negative = [](std::int64_t seconds, std::uint32_t nanoseconds) {
        Entry entry = file("x");
        entry.status.modified = {seconds, nanoseconds};
        const std::string header = tar_header(entry);
        const std::size_t at = header.find("mtime=");
        return header.substr(at + 6, header.find('\n', at) - at - 6);
    };
    CHECK(negative(-1, 250'000'000) == "-0.75");
    CHECK(negative(-3, 500'000'000) == "-2.5");
}

TEST_CASE("links, devices, large owners and attributes") {
    Entry hard = file("b", 100);
    hard.hard_link_to = "a";
    const Read hard_read(tar_header(hard));
    CHECK(std::string(archive_entry_hardlink(hard_read.entry)) == "a");
    CHECK(archive_entry_size(hard_read.entry) == 0);

    Entry device = file("dev/null");
    device.status.type = FileType::character_device;
    device.status.device_major = 1;
    device.status.device_minor = 3;
    const Read device_read(tar_header(device));
    CHECK(archive_entry_rdevmajor(device_read.entry) == 1);
    CHECK(archive_entry_rdevminor(device_read.entry) == 3);

    Entry large = file("x");
    large.status.uid = 4294967294;
    large.attributes = {{"security.capability", std::string("\1\0\0\2=\n", 6)}};
    const Read large_read(tar_header(large));
    CHECK(archive_entry_uid(large_read.entry) == 4294967294);
    REQUIRE(archive_entry_xattr_reset(large_read.entry) == 1);
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    archive_entry_xattr_next(large_read.entry, &name, &value, &size);
    CHECK(std::string(name) == "security.capability");
    CHECK(std::string(static_cast<const char*>(value), size) == std::string("\1\0\0\2=\n", 6));

    Entry socket = file("s");
    socket.status.type = FileType::socket;
    CHECK_THROWS_AS(tar_header(socket), Error);
}
