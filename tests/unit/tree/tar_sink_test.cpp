#include "formats/base/error.hpp"
#include "formats/tree/tar.hpp"
#include "formats/tree/tar_reader.hpp"
#include "formats/tree/tar_sink.hpp"
#include "tests/support/collecting_sink.hpp"
#include "tests/support/memory_source.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>

using namespace vm2oci;

namespace {

class Text final : public FileContent {
  public:
    explicit Text(std::string text) : text_(std::move(text)) {}
    void copy_to(ByteSink& out) const override { out.write(std::as_bytes(std::span(text_))); }

  private:
    std::string text_;
};

Entry entry(std::string path, FileType type, std::uint32_t permissions = 0644) {
    Entry made;
    made.path = std::move(path);
    made.status.type = type;
    made.status.permissions = permissions;
    return made;
}

void add_file(TarSink& sink, Entry file, const std::string& text) {
    file.status.size = text.size();
    const Text content(text);
    sink.add(file, &content);
}

// "path content" of every member, as libarchive reads them.
std::vector<std::string> members(const test::CollectingSink& out) {
    const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
    archive_read_support_format_tar(reader.get());
    REQUIRE(archive_read_open_memory(reader.get(), out.content.data(), out.content.size()) == ARCHIVE_OK);
    std::vector<std::string> found;
    archive_entry* member = nullptr;
    while (archive_read_next_header(reader.get(), &member) == ARCHIVE_OK) {
        std::string text(static_cast<std::size_t>(archive_entry_size(member)), '\0');
        if (!text.empty())
            REQUIRE(archive_read_data(reader.get(), text.data(), text.size()) == static_cast<la_ssize_t>(text.size()));
        found.push_back(std::string(archive_entry_pathname(member)) + " " + text);
    }
    return found;
}

class Observer final : public TarObserver {
  public:
    void entry_begins(const Entry& entry, std::string_view header) override {
        seen.push_back(entry.path + " " + std::to_string(header.size()));
    }
    std::vector<std::string> seen;
};

// A file that is mostly holes, by its pieces.
class Pieces final : public FileContent {
  public:
    Pieces(std::uint64_t size, std::vector<std::pair<std::uint64_t, std::string>> pieces)
        : size_(size), pieces_(std::move(pieces)) {}
    void copy_to(ByteSink& out) const override { copy_range_to({0, size_}, out); }
    std::optional<std::vector<DataRange>> data_ranges() const override {
        std::vector<DataRange> ranges;
        for (const auto& [offset, text] : pieces_)
            ranges.push_back({offset, text.size()});
        return ranges;
    }
    void copy_range_to(const DataRange& range, ByteSink& out) const override {
        std::string text(static_cast<std::size_t>(range.length), '\0');
        for (const auto& [offset, piece] : pieces_)
            for (std::size_t i = 0; i < piece.size(); ++i)
                if (offset + i >= range.offset && offset + i - range.offset < range.length)
                    text[static_cast<std::size_t>(offset + i - range.offset)] = piece[i];
        out.write(std::as_bytes(std::span(text)));
    }

  private:
    std::uint64_t size_;
    std::vector<std::pair<std::uint64_t, std::string>> pieces_;
};

} // namespace

TEST_CASE("large holes are left out, and what is read back has them") {
    const std::uint64_t size = GENERATE(kMaxStoredHoles + 20'000, std::uint64_t{3} << 40);
    const std::string path = GENERATE(std::string("lastlog"), std::string("var/log/lastlog"), std::string(150, 'n'));
    const bool ends_with_data = GENERATE(false, true);
    std::vector<std::pair<std::uint64_t, std::string>> pieces = {{4096, std::string(5000, 'a')}};
    if (ends_with_data)
        pieces.emplace_back(size - 3, "end");
    test::CollectingSink out;
    TarSink sink(out, {});
    Entry file = entry(path, FileType::regular);
    file.status.size = size;
    const Pieces content(size, pieces);
    sink.add(file, &content);
    add_file(sink, entry("next", FileType::regular), "text");
    const TarReport report = sink.finish();
    CHECK(report.sparse.count == 1);
    CHECK(out.content.size() < 20'000);

    const test::MemorySource source(out.content);
    TarReader reader(source);
    const std::optional<TarMember> member = reader.next();
    REQUIRE(member);
    CHECK(member->path == path);
    CHECK(member->content_size == size);
    REQUIRE(member->extents);
    CHECK(member->extents->front() == TarExtent{4096, 5000});
    const TarExtent last = ends_with_data ? TarExtent{size - 3, 3} : TarExtent{size, 0};
    CHECK(member->extents->back() == last);
    CHECK(reader.next()->path == "next");
    // Another reader: libarchive.
    const std::unique_ptr<archive, int (*)(archive*)> other(archive_read_new(), archive_read_free);
    archive_read_support_format_tar(other.get());
    REQUIRE(archive_read_open_memory(other.get(), out.content.data(), out.content.size()) == ARCHIVE_OK);
    archive_entry* found = nullptr;
    REQUIRE(archive_read_next_header(other.get(), &found) == ARCHIVE_OK);
    CHECK(archive_entry_pathname(found) == path);
    CHECK(archive_entry_size(found) == static_cast<la_int64_t>(size));
    REQUIRE(archive_read_next_header(other.get(), &found) == ARCHIVE_OK);
    CHECK(std::string(archive_entry_pathname(found)) == "next");
}

TEST_CASE("small holes are written out, and whole members of too large ones are refused") {
    test::CollectingSink out;
    TarSink sink(out, {});
    Entry file = entry("small", FileType::regular);
    file.status.size = 1 << 20;
    const Pieces small(file.status.size, {{70'000, "x"}});
    sink.add(file, &small);
    CHECK(sink.finish().sparse.count == 0);
    CHECK(out.content.size() > 1 << 20);

    TarSink whole(out, {DeviceNodes::keep, WhiteoutNames::keep, LargeHoles::refuse});
    file.status.size = std::uint64_t{1} << 40;
    const Pieces large(file.status.size, {});
    CHECK_THROWS_AS(whole.add(file, &large), Error);
}

TEST_CASE("a tree becomes an archive in whole blocks, each member padded") {
    test::CollectingSink out;
    Observer observer;
    TarSink sink(out, {DeviceNodes::keep, WhiteoutNames::keep}, &observer);
    sink.add(entry("", FileType::directory, 0755), nullptr);
    for (const std::size_t size : {0u, 1u, 511u, 512u, 513u})
        add_file(sink, entry("file-" + std::to_string(size), FileType::regular), std::string(size, 'x'));
    const TarReport report = sink.finish();
    CHECK(report.entries == 6);
    CHECK(out.content.size() == 6 * 512 + 4 * 512 + 512 + kTarEndSize);
    const std::vector<std::string> found = members(out);
    REQUIRE(found.size() == 6);
    CHECK(found.back() == "file-513 " + std::string(513, 'x'));
    CHECK(observer.seen.size() == 6);
    CHECK(observer.seen[1] == "file-0 512");
}

TEST_CASE("sockets are left out and told; device nodes by policy") {
    for (const DeviceNodes policy : {DeviceNodes::keep, DeviceNodes::leave_out}) {
        test::CollectingSink out;
        TarSink sink(out, {policy, WhiteoutNames::refuse});
        sink.add(entry("socket", FileType::socket), nullptr);
        sink.add(entry("null", FileType::character_device), nullptr);
        sink.add(entry("sda", FileType::block_device), nullptr);
        sink.add(entry("fifo", FileType::fifo), nullptr);
        const TarReport report = sink.finish();
        const bool kept = policy == DeviceNodes::keep;
        CHECK(report.entries == (kept ? 3 : 1));
        CHECK(report.sockets.first == std::vector<std::string>{"socket"});
        CHECK(report.devices.count == (kept ? 0 : 2));
        CHECK(members(out).size() == (kept ? 3 : 1));
    }
}

TEST_CASE("files with another's rights are kept and told, a hundred of them by name") {
    test::CollectingSink out;
    TarSink sink(out, {});
    for (int i = 0; i < 150; ++i)
        add_file(sink, entry("file-" + std::to_string(i), FileType::regular, i % 2 == 0 ? 04755 : 02755), "x");
    sink.add(entry("folder", FileType::directory, 02755), nullptr);
    const TarReport report = sink.finish();
    CHECK(report.entries == 151);
    CHECK(report.set_id.count == 150);
    CHECK(report.set_id.first.size() == kReportedPaths);
}

TEST_CASE("a name that would delete a file of a lower layer is refused in a layer, in every part of a path") {
    for (const char* path : {".wh.x", "a/.wh.x", ".wh.folder/x", ".wh..wh..opq"}) {
        INFO(path);
        test::CollectingSink out;
        TarSink refusing(out, {DeviceNodes::keep, WhiteoutNames::refuse});
        CHECK_THROWS_AS(refusing.add(entry(path, FileType::fifo), nullptr), Error);
        CHECK(out.content.empty());
        TarSink keeping(out, {DeviceNodes::keep, WhiteoutNames::keep});
        keeping.add(entry(path, FileType::fifo), nullptr);
        CHECK(members(out).front() == std::string(path) + " ");
    }
    test::CollectingSink out;
    TarSink sink(out, {DeviceNodes::keep, WhiteoutNames::refuse});
    sink.add(entry("a.wh.x", FileType::fifo), nullptr);
    CHECK(sink.finish().entries == 1);
}

TEST_CASE("content of another length than announced is an error") {
    for (const std::size_t size : {1u, 3u}) {
        test::CollectingSink out;
        TarSink sink(out, {});
        Entry file = entry("file", FileType::regular);
        file.status.size = 2;
        const Text content(std::string(size, 'x'));
        CHECK_THROWS_AS(sink.add(file, &content), Error);
    }
}
