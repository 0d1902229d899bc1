#include "formats/base/error.hpp"
#include "formats/base/sha256.hpp"
#include "formats/ext4/editor.hpp"
#include "tests/unit/ext4/tree_writer_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using test::entry;
using test::geometry;
using test::kDiskSize;
using test::Written;

namespace {

NodeId find(const Ext4FileSystem& files, std::string_view path) {
    return test::find_path(files, path).value();
}

std::string content_of(const Ext4FileSystem& files, std::string_view path) {
    return test::content_of(files, find(files, path));
}

std::string digest(const OverlayDevice& disk) {
    Sha256 hash;
    std::vector<std::byte> buffer(1 * MiB);
    for (std::uint64_t at = 0; at < disk.size(); at += buffer.size()) {
        disk.read_at(at, buffer);
        hash.update(buffer);
    }
    return to_hex(hash.finish());
}

std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    std::uint32_t state = 7;
    for (char& c : bytes) {
        state = state * 1664525 + 1013904223;
        c = static_cast<char>(state >> 24);
    }
    return bytes;
}

void fill(Written& made) {
    made.folder("bin");
    Entry tool = entry("bin/ping", FileType::regular, 04755);
    tool.attributes = {{"security.capability", std::string("\1\0\0\2\0\4\0\0", 8)}, {"user.note", "x"}};
    made.file(tool, noise(3'000'000));
    made.folder("etc", 0700);
    Entry first = entry("etc/a", FileType::regular);
    first.status.link_count = 2;
    made.file(first, "linked\n");
    Entry second = entry("etc/b", FileType::regular);
    second.hard_link_to = "etc/a";
    made.writer.add(second, nullptr);
    Entry link = entry("etc/short", FileType::symlink, 0777);
    link.link_target = "a";
    made.writer.add(link, nullptr);
    link.path = "etc/very-long";
    link.link_target = std::string(300, 'n');
    made.writer.add(link, nullptr);
    made.folder("many");
    for (int i = 1000; i < 1500; ++i)
        made.file("many/a-name-of-some-length-" + std::to_string(i), std::to_string(i));
    Entry null = entry("null", FileType::character_device, 0666);
    null.status.device_major = 1;
    null.status.device_minor = 3;
    made.writer.add(null, nullptr);
    // A hole between two blocks.
    made.file("sparse", "begin" + std::string(9 * MiB, '\0') + "end");
}

} // namespace

TEST_CASE("a tree is read back from the file system that was made of it") {
    Written made;
    fill(made);
    const Ext4TreeReport report = made.writer.finish();
    CHECK(report.entries == 510);
    CHECK(report.attributes_left_out == 0);

    const Ext4FileSystem files(made.disk);
    CHECK(files.facts().uuid == "5a5a5a5a-5a5a-5a5a-5a5a-5a5a5a5a5a5a");
    CHECK(files.facts().label == "root");
    CHECK(files.log() == LogState::clean);
    CHECK(content_of(files, "bin/ping") == noise(3'000'000));
    const FileStatus ping = files.status(find(files, "bin/ping"));
    CHECK(ping.permissions == 04755);
    CHECK(ping.modified == Timestamp{1'600'000'000, 123'456'789});
    CHECK(files.attributes(find(files, "bin/ping")) ==
          std::vector<ExtendedAttribute>{{"security.capability", std::string("\1\0\0\2\0\4\0\0", 8)},
                                         {"user.note", "x"}});
    CHECK(files.status(find(files, "etc")).permissions == 0700);
    CHECK(find(files, "etc/a") == find(files, "etc/b"));
    CHECK(files.status(find(files, "etc/a")).link_count == 2);
    CHECK(files.read_link(find(files, "etc/short")) == "a");
    CHECK(files.read_link(find(files, "etc/very-long")) == std::string(300, 'n'));
    CHECK(files.list(find(files, "many")).size() == 500);
    CHECK(content_of(files, "many/a-name-of-some-length-1499") == "1499");
    CHECK(files.status(find(files, "null")).device_minor == 3);
    CHECK(content_of(files, "sparse") == "begin" + std::string(9 * MiB, '\0') + "end");
    CHECK(files.list(files.root()).size() == 6); // and lost+found
    CHECK(made.disk->scratch_bytes() < 8 * MiB);
}

TEST_CASE("holes that are known are passed over, and leave the same file system as zeros") {
    static constexpr std::uint64_t kSize = 20 * MiB + 77;
    class Holes final : public FileContent {
      public:
        explicit Holes(bool known) : known_(known) {}
        void copy_to(ByteSink& out) const override {
            std::vector<std::byte> all(kSize);
            for (const DataRange& range : ranges())
                std::fill_n(all.begin() + static_cast<std::ptrdiff_t>(range.offset), range.length, std::byte{7});
            out.write(all);
        }
        std::optional<std::vector<DataRange>> data_ranges() const override {
            return known_ ? std::optional(ranges()) : std::nullopt;
        }
        void copy_range_to(const DataRange& range, ByteSink& out) const override {
            out.write(std::vector<std::byte>(range.length, std::byte{7}));
        }

      private:
        // Neither begins nor ends where blocks do.
        static std::vector<DataRange> ranges() { return {{1024, 1024}, {3 * MiB + 512, 9000}, {kSize - 100, 100}}; }
        bool known_;
    };
    const auto make = [](bool known) {
        Written made;
        Entry file = entry("holes", FileType::regular);
        file.status.size = kSize;
        const Holes content(known);
        made.writer.add(file, &content);
        made.writer.finish();
        return digest(*made.disk);
    };
    CHECK(make(true) == make(false));
}

TEST_CASE("a folder is read once for all the names that are looked up in it") {
    Written made;
    fill(made);
    made.writer.finish();
    const auto memory = std::make_shared<test::MemoryDevice>(kDiskSize);
    std::vector<std::byte> all(kDiskSize);
    made.disk->read_at(0, all);
    memory->put(0, all);
    const Ext4FileSystem files(memory);
    find(files, "many/a-name-of-some-length-1000");
    const std::uint64_t before = memory->reads();
    for (int i = 1001; i < 1500; ++i)
        find(files, "many/a-name-of-some-length-" + std::to_string(i));
    CHECK(files.lookup(find(files, "many"), "missing") == std::nullopt);
    CHECK(memory->reads() == before);
    CHECK(files.list(find(files, "many")).size() == 500);
}

TEST_CASE("the same tree makes the same file system, and another time another one") {
    const auto make = [](const Ext4Geometry& wanted) {
        Written made(kDiskSize, wanted);
        fill(made);
        made.writer.finish();
        return digest(*made.disk);
    };
    const std::string first = make(geometry());
    CHECK(make(geometry()) == first);
    Ext4Geometry later = geometry();
    ++later.time;
    CHECK(make(later) != first);
}

TEST_CASE("what was made can be edited") {
    Written made;
    fill(made);
    made.writer.finish();
    CHECK_FALSE(reason_not_to_edit_ext4(made.disk));
}

TEST_CASE("a file system that is too small for its files says so") {
    Written made(16 * MiB);
    try {
        made.file("large", noise(20 * MiB));
        FAIL("a file larger than its disk was written");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::limit);
        CHECK(error.hint().kind == HintKind::size);
    }
    CHECK_THROWS_AS(Written(4 * MiB), Error);
}

TEST_CASE("the tree's own lost+found gives way to the new one, and attributes of other systems are counted") {
    Written made;
    Entry odd = entry("odd", FileType::regular);
    odd.attributes = {{"btrfs.compression", "zstd"}, {"user.kept", "1"}};
    made.folder("lost+found", 0755);
    made.file("lost+found/#12", "fragment");
    made.file(odd, "");
    const Ext4TreeReport report = made.writer.finish();
    CHECK(report.attributes_left_out == 1);
    const Ext4FileSystem files(made.disk);
    CHECK(files.list(find(files, "lost+found")).empty());
    CHECK(files.status(find(files, "lost+found")).permissions == 0700);
    CHECK(files.attributes(find(files, "odd")).size() == 1);
}
