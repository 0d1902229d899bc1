#include "formats/base/byte_stream.hpp"
#include "formats/base/fd.hpp"
#include "formats/tree/cpio.hpp"
#include "formats/tree/cpio_sink.hpp"
#include "formats/tree/folder_cache.hpp"
#include "tests/support/refusal.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace std::string_literals;

namespace {

struct Kept final : ByteSink {
    std::string text;
    void write(std::span<const std::byte> bytes) override { text += as_text(bytes); }
};

// Bytes that come one at a time, or a few.
class Drops final : public ByteStream {
  public:
    Drops(std::string text, std::size_t step) : text_(std::move(text)), step_(step) {}
    std::span<const std::byte> available() override { return as_bytes(std::string_view(text_).substr(at_, step_)); }
    void consume(std::size_t count) override { at_ += count; }
    std::size_t left() const { return text_.size() - at_; }

  private:
    std::string text_;
    std::size_t step_;
    std::size_t at_ = 0;
};

// A member as buffer-format.rst draws it: magic, inode, mode, uid, gid, links, time, size, two devices, name, sum.
std::string member(const std::string& numbers, const std::string& name, const std::string& content) {
    std::string text = "070701" + numbers + name + "\0"s;
    text.append((4 - text.size() % 4) % 4, '\0');
    text += content;
    text.append((4 - content.size() % 4) % 4, '\0');
    return text;
}

const std::string kTrailer = member("00000000"
                                    "00000000"
                                    "00000000"
                                    "00000000"
                                    "00000001"
                                    "00000000"
                                    "00000000"
                                    "00000000"
                                    "00000000"
                                    "00000000"
                                    "00000000"
                                    "0000000b"
                                    "00000000",
                                    "TRAILER!!!", "");

std::string read_all(std::string archive, std::size_t step = 7) {
    Drops stream(std::move(archive), step);
    CpioReader reader(stream);
    std::string all;
    while (const auto found = reader.next())
        all += found->path + ":" + std::to_string(found->mode) + ":" + reader.content() + ";";
    return all;
}

class Content final : public FileContent {
  public:
    explicit Content(std::string text) : text_(std::move(text)) {}
    void copy_to(ByteSink& out) const override { out.write(as_bytes(text_)); }

  private:
    std::string text_;
};

Entry entry(std::string path, FileType type, std::uint64_t size = 0) {
    Entry made;
    made.path = std::move(path);
    made.status.type = type;
    made.status.permissions = 0644;
    made.status.size = size;
    return made;
}

} // namespace

TEST_CASE("an archive is written as the kernel describes it") {
    Kept out;
    CpioWriter writer(out);
    writer.add_folder("bin", 0755);
    writer.add_file("bin/init", 04755, "abcde");
    writer.add_symlink("init", "bin/init");
    writer.finish();
    const std::string zeros = "00000000";
    CHECK(out.text ==
          member("00000001"
                 "000041ed" +
                     zeros + zeros + "00000002" + zeros + zeros + zeros + zeros + zeros + zeros + "00000004" + zeros,
                 "bin", "") +
              member("00000002"
                     "000089ed" +
                         zeros + zeros + "00000001" + zeros + "00000005" + zeros + zeros + zeros + zeros + "00000009" +
                         zeros,
                     "bin/init", "abcde") +
              member("00000003"
                     "0000a1ff" +
                         zeros + zeros + "00000001" + zeros + "00000008" + zeros + zeros + zeros + zeros + "00000005" +
                         zeros,
                     "init", "bin/init") +
              kTrailer);
    CHECK(out.text.size() % 4 == 0);
}

TEST_CASE("zeros lead to the next multiple of four") {
    CHECK(cpio_padding(0).empty());
    CHECK(cpio_padding(1) == "\0\0\0"s);
    CHECK(cpio_padding(2) == "\0\0"s);
    CHECK(cpio_padding(3) == "\0"s);
    CHECK(cpio_padding(4).empty());
    CHECK(cpio_padding((std::uint64_t{1} << 40) + 1).size() == 3);
}

TEST_CASE("an archive is read in pieces of any length, and what stands behind it is left") {
    Kept out;
    CpioWriter writer(out);
    writer.add_folder("d", 0700);
    for (std::size_t size = 0; size < 9; ++size)
        writer.add_file("d/" + std::string(size + 1, 'n'), 0600, std::string(size, static_cast<char>('a' + size)));
    writer.finish();
    const std::string wanted = read_all(out.text, 100'000);
    CHECK(wanted.starts_with("d:16832:;d/n:33152:;d/nn:33152:b;d/nnn:33152:cc;"));
    for (std::size_t step = 1; step < 12; ++step) {
        CAPTURE(step);
        CHECK(read_all(out.text, step) == wanted);
        Drops stream(out.text + "next", step); // an initrd has several, each compressed in its own way
        CpioReader reader(stream);
        std::size_t members = 0;
        while (reader.next()) // whose contents nobody takes
            ++members;
        CHECK(members == 10);
        CHECK(stream.left() == 4);
    }
    for (std::size_t size = 0; size < out.text.size() - 1; size += 3) {
        CAPTURE(size);
        CHECK_THAT(test::refusal_of([&] { return read_all(out.text.substr(0, size)); }),
                   Catch::StartsWith("corrupt: the cpio archive ends inside a "));
    }
}

TEST_CASE("names lose what leads to the root, and keep the rest") {
    const std::string numbers = "00000001"
                                "000081a4"
                                "00000000"
                                "00000000"
                                "00000001"
                                "00000000"
                                "00000000"
                                "00000000"
                                "00000000"
                                "00000000"
                                "00000000";
    const struct {
        std::string name;
        std::string path;
    } rows[] = {{"etc/x", "etc/x"}, {"./etc/x", "etc/x"},   {"/etc/x", "etc/x"}, {"././/x", "x"}, {".", "."},
                {"../x", "../x"},   {".hidden", ".hidden"}, {"a//b", "a//b"},    {"", ""}};
    for (const auto& row : rows) {
        CAPTURE(row.name);
        char size[9];
        std::snprintf(size, sizeof size, "%08x", static_cast<unsigned>(row.name.size() + 1));
        CHECK(read_all(member(numbers + size + "00000000", row.name, "") + kTrailer) == row.path + ":33188:;");
    }
}

TEST_CASE("headers that cannot be are refused") {
    const std::string good = member("00000001"
                                    "000081A4"
                                    "00000000"
                                    "00000000"
                                    "00000001"
                                    "00000000"
                                    "00000003"
                                    "00000000"
                                    "00000000"
                                    "00000000"
                                    "00000000"
                                    "00000002"
                                    "00000000",
                                    "n", "abc") +
                             kTrailer;
    CHECK(read_all(good) == "n:33188:abc;"); // large digits, too
    const struct {
        std::size_t at;
        const char* bytes;
        const char* said;
    } rows[] = {
        {0, "070702", "accepted"}, // with checksums, which the kernel reads and this does not
        {0, "070707", "corrupt: this is no cpio archive of the kind that the kernel reads"},
        {0, "\xc7\x71", "corrupt: this is no cpio archive of the kind that the kernel reads"},
        {14, "0000 1a4", "corrupt: a header of the cpio archive is broken"},
        {14, "0x0081a4", "corrupt: a header of the cpio archive is broken"},
        {54, "-0000003", "corrupt: a header of the cpio archive is broken"},
        {54, "0000000g", "corrupt: a header of the cpio archive is broken"},
        {94, "00000000", "corrupt: a name in the cpio archive has an impossible length"},
        {94, "00001001", "corrupt: a name in the cpio archive has an impossible length"},
        {94, "00001000", "corrupt: the cpio archive ends inside a name"},
        {94, "ffffffff", "corrupt: a name in the cpio archive has an impossible length"},
        {54, "ffffffff", "corrupt: the cpio archive ends inside a member"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.at, row.bytes);
        std::string changed = good;
        changed.replace(row.at, std::string_view(row.bytes).size(), row.bytes);
        CHECK(test::refusal_of([&] { return read_all(changed); }) == row.said);
    }
}

TEST_CASE("a tree becomes an archive with owners, times, devices and joined names") {
    Kept out;
    CpioSink sink(out);
    sink.add(entry("", FileType::directory), nullptr);
    Entry first = entry("a", FileType::regular, 3);
    first.status.uid = 0x12345678;
    first.status.gid = 7;
    first.status.link_count = 2;
    first.status.modified = {1'700'000'000, 5};
    const Content content("abc");
    sink.add(first, &content);
    Entry second = first;
    second.path = "b";
    second.hard_link_to = "a";
    sink.add(second, nullptr);
    sink.add(entry("left-out", FileType::socket), nullptr);
    Entry device = entry("null", FileType::character_device);
    device.status.permissions = 0666;
    device.status.device_major = 1;
    device.status.device_minor = 3;
    device.status.modified.seconds = -1;
    sink.add(device, nullptr);
    device.path = "pipe";
    device.status = {};
    device.status.type = FileType::fifo;
    device.status.modified.seconds = std::int64_t{1} << 33;
    sink.add(device, nullptr);
    sink.add_symlink("init", "a");
    sink.finish();
    const std::string zeros = "00000000";
    CHECK(out.text == member("00000001"
                             "000081a4"
                             "12345678"
                             "00000007"
                             "00000002"
                             "6553f100"
                             "00000003" +
                                 zeros + zeros + zeros + zeros + "00000002" + zeros,
                             "a", "abc") +
                          member("00000001"
                                 "000081a4"
                                 "12345678"
                                 "00000007"
                                 "00000002"
                                 "6553f100" +
                                     zeros + zeros + zeros + zeros + zeros + "00000002" + zeros,
                                 "b", "") +
                          member("00000002"
                                 "000021b6" +
                                     zeros + zeros + "00000001" + zeros + zeros + zeros + zeros +
                                     "00000001"
                                     "00000003"
                                     "00000005" +
                                     zeros,
                                 "null", "") +
                          member("00000003"
                                 "00001000" +
                                     zeros + zeros +
                                     "00000001"
                                     "ffffffff" +
                                     zeros + zeros + zeros + zeros + zeros + "00000005" + zeros,
                                 "pipe", "") +
                          member("00000004"
                                 "0000a1ff" +
                                     zeros + zeros + "00000001" + zeros + "00000001" + zeros + zeros + zeros + zeros +
                                     "00000005" + zeros,
                                 "init", "a") +
                          kTrailer);
}

TEST_CASE("what an archive cannot hold is refused by its name") {
    Kept out;
    CpioSink sink(out);
    const auto said = [&](const Entry& wrong, const FileContent* content) {
        return test::refusal_of([&] {
            sink.add(wrong, content);
            return 0;
        });
    };
    const Content abc("abc");
    Entry link = entry("l", FileType::regular);
    link.hard_link_to = "missing";
    CHECK(said(link, nullptr) == "corrupt: 'l' is a hard link to something that did not come");
    CHECK(said(entry("x\ny", FileType::regular, 2), &abc) ==
          "io: the content of 'x\\x0ay' is not as long as its entry says");
    CHECK(said(entry("big", FileType::regular, std::uint64_t{1} << 32), &abc) ==
          "limit: an initrd cannot hold 'big', which has 4 GiB or more");
    CHECK_THAT(said(entry("big", FileType::regular, (std::uint64_t{1} << 32) - 1), &abc), Catch::StartsWith("io: "));
}

TEST_CASE("names that may be one part of a path") {
    CHECK(is_valid_file_name("a"));
    CHECK(is_valid_file_name("..."));
    CHECK(is_valid_file_name(std::string(255, 'n')));
    for (const std::string& name : {""s, "."s, ".."s, "/"s, "a/"s, "a/b"s, "a\0"s, std::string(256, 'n')}) {
        CAPTURE(name);
        CHECK_FALSE(is_valid_file_name(name));
    }
}

TEST_CASE("folders are kept by what they hold, the last used ones longest") {
    const auto folder = [](std::size_t count) { return FolderCache::Entries(count, DirectoryEntry{"n", NodeId{1}}); };
    FolderCache cache;
    CHECK(cache.find(NodeId{1}) == nullptr);
    CHECK(cache.keep(NodeId{1}, folder(99'999)).size() == 99'999);
    cache.keep(NodeId{2}, folder(99'999)); // each counts for itself, too: now 200,000
    REQUIRE(cache.find(NodeId{1}) != nullptr);
    REQUIRE(cache.find(NodeId{2}) != nullptr);
    REQUIRE(cache.find(NodeId{1}) != nullptr); // which makes it the last used
    cache.keep(NodeId{3}, {});                 // an empty one more is too many
    CHECK(cache.find(NodeId{2}) == nullptr);
    CHECK(cache.find(NodeId{1}) != nullptr);
    CHECK(cache.find(NodeId{3}) != nullptr);
    CHECK(cache.keep(NodeId{4}, folder(300'000)).size() == 300'000); // the last one whatever its size
    CHECK(cache.find(NodeId{4})->size() == 300'000);
    CHECK(cache.find(NodeId{1}) == nullptr);
    CHECK(cache.find(NodeId{3}) == nullptr);
    cache.keep(NodeId{5}, folder(1));
    CHECK(cache.find(NodeId{4}) == nullptr);
    CHECK(cache.find(NodeId{5})->size() == 1);
}
