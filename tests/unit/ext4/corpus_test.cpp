#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/sha256.hpp"
#include "formats/ext4/file_system.hpp"
#include "tests/support/corpus.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <set>

using namespace vm2oci;

namespace {

const test::Corpus& corpus() {
    static const test::Corpus instance(VM2OCI_GUEST_CORPUS);
    return instance;
}

std::string read_all(const FileSystem& file_system, NodeId node) {
    std::string text(static_cast<std::size_t>(file_system.status(node).size), '\0');
    file_system.read_at(node, 0, std::as_writable_bytes(std::span(text)));
    return text;
}

// Everything that can be asked of everything; the number of entries.
std::size_t walk_all(const FileSystem& file_system) {
    std::vector<NodeId> pending{file_system.root()};
    std::set<NodeId> seen{file_system.root()};
    std::size_t entries = 0;
    while (!pending.empty()) {
        const NodeId folder = pending.back();
        pending.pop_back();
        file_system.attributes(folder);
        for (const DirectoryEntry& entry : file_system.list(folder)) {
            ++entries;
            const FileStatus status = file_system.status(entry.node);
            file_system.attributes(entry.node);
            if (status.type == FileType::directory) {
                if (!seen.insert(entry.node).second)
                    fail(ErrorKind::corrupt, "a folder is reached by two ways");
                pending.push_back(entry.node);
            } else if (status.type == FileType::symlink) {
                file_system.read_link(entry.node);
            } else if (status.type == FileType::regular && status.size < 64 * 1024 * 1024) {
                read_all(file_system, entry.node);
            }
        }
    }
    return entries;
}

NodeId find(const FileSystem& file_system, std::initializer_list<const char*> path) {
    NodeId node = file_system.root();
    for (const char* name : path) {
        const std::optional<NodeId> next = file_system.lookup(node, name);
        REQUIRE(next);
        node = *next;
    }
    return node;
}

std::string short_digest(const std::string& text) {
    return to_hex(sha256(std::as_bytes(std::span(text)))).substr(0, 16);
}

void check_good(const FileSystem& file_system) {
    const NodeId release = find(file_system, {"etc", "os-release"});
    CHECK(short_digest(read_all(file_system, release)) == "280140cdebf52d2d");
    const NodeId blob = find(file_system, {"usr", "lib", "blob"});
    CHECK(short_digest(read_all(file_system, blob)) == "8e54cafd0697047d");
    CHECK(file_system.status(blob).permissions == 04755);
    CHECK(file_system.read_link(find(file_system, {"bin"})) == "usr/bin");
    CHECK(find(file_system, {"usr", "lib", "os-release"}) == release);
    CHECK(file_system.status(release).link_count == 2);
}

} // namespace

TEST_CASE("every ext4 image of the corpus is read or refused as its manifest says") {
    for (const test::CorpusRow& row : corpus().rows("ext4")) {
        INFO(row.file << ": " << row.expect << ", " << row.why);
        const auto device = corpus().open(row.file);
        try {
            const Ext4FileSystem file_system(device);
            const std::size_t entries = walk_all(file_system);
            CHECK(row.expect != "reject");
            CHECK(row.expect.rfind("reject-or-error", 0) != 0);
            if (row.file.rfind("ext4/good_", 0) == 0)
                check_good(file_system);
            if (row.file == "ext4/dir_htree.img")
                CHECK(entries >= 150);
            if (row.file == "ext4/sb_recover_needed.img")
                CHECK(file_system.log() == LogState::replayed);
        } catch (const Error& error) {
            INFO(error.what());
            CHECK((error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported ||
                   error.kind() == ErrorKind::limit));
            CHECK(escape_untrusted(error.what(), 4096) == error.what());
            CHECK((row.expect.rfind("reject", 0) == 0 || row.expect == "inject"));
        }
        CHECK(device->bytes_read() < 256 * 1024 * 1024);
    }
}

TEST_CASE("names come out byte for byte") {
    const Ext4FileSystem file_system(corpus().open("ext4/names_hostile.img"));
    bool newline = false;
    bool longest = false;
    bool not_utf8 = false;
    std::vector<NodeId> pending{file_system.root()};
    while (!pending.empty()) {
        const NodeId folder = pending.back();
        pending.pop_back();
        for (const DirectoryEntry& entry : file_system.list(folder)) {
            newline = newline || entry.name.find('\n') != std::string::npos;
            longest = longest || entry.name.size() == 255;
            not_utf8 = not_utf8 || escape_untrusted(entry.name).find("\\x") != std::string::npos;
            if (file_system.status(entry.node).type == FileType::directory)
                pending.push_back(entry.node);
        }
    }
    CHECK(newline);
    CHECK(longest);
    CHECK(not_utf8);
}

TEST_CASE("free space is what the bitmaps say, and never what a file uses") {
    for (const char* file : {"ext4/good_default.img", "ext4/good_1k.img", "ext4/good_bigalloc.img",
                             "ext4/good_ext2.img", "ext4/good_flexbg_off.img"}) {
        INFO(file);
        const Ext4FileSystem file_system(corpus().open(file));
        std::uint64_t free = 0;
        std::uint64_t last_end = 0;
        const std::vector<DataRange> ranges = file_system.free_space().value();
        for (const DataRange& range : ranges) {
            CHECK(range.offset >= last_end);
            last_end = range.offset + range.length;
            free += range.length;
        }
        CHECK(last_end <= corpus().open(file)->size());
        CHECK(free == file_system.usage().free_bytes);
    }
}

TEST_CASE("an error of the disk comes through libext2fs as it was") {
    test::MemoryDevice device(2 * 1024 * 1024);
    const auto good = corpus().open("ext4/good_default.img");
    std::vector<std::byte> bytes(2 * 1024 * 1024);
    good->read_at(0, bytes);
    device.put(0, bytes).fail_reads(32 * 1024, 1024 * 1024, ErrorKind::io);
    try {
        const Ext4FileSystem file_system(std::shared_ptr<const BlockDevice>(&device, [](const BlockDevice*) {}));
        walk_all(file_system);
        FAIL("the disk's error was lost");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::io);
        CHECK(std::string(error.what()).find("fails on purpose") != std::string::npos);
    }
}
