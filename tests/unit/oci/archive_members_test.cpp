#include "formats/base/error.hpp"
#include "formats/oci/archive_members.hpp"
#include "tests/unit/oci/oci_fixture.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch.hpp>

#include <fstream>
#include <vector>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

enum class Kind { file, folder, symlink, hard_link, fifo };

struct Member {
    std::string path;
    std::string text = ""; // of links: where they lead
    Kind kind = Kind::file;
};

fs::path write_tar(const TestFolder& folder, const std::vector<Member>& members) {
    fs::path file = folder.path / "image.tar";
    const std::unique_ptr<archive, int (*)(archive*)> writer(archive_write_new(), archive_write_free);
    archive_write_set_format_pax_restricted(writer.get());
    REQUIRE(archive_write_open_filename(writer.get(), file.c_str()) == ARCHIVE_OK);
    for (const Member& member : members) {
        const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
        archive_entry_set_pathname(entry.get(), member.path.c_str());
        archive_entry_set_perm(entry.get(), 0644);
        archive_entry_set_filetype(entry.get(), member.kind == Kind::folder    ? AE_IFDIR
                                                : member.kind == Kind::symlink ? AE_IFLNK
                                                : member.kind == Kind::fifo    ? AE_IFIFO
                                                                               : AE_IFREG);
        if (member.kind == Kind::symlink)
            archive_entry_set_symlink(entry.get(), member.text.c_str());
        if (member.kind == Kind::hard_link)
            archive_entry_set_hardlink(entry.get(), member.text.c_str());
        const bool has_content = member.kind == Kind::file;
        archive_entry_set_size(entry.get(), has_content ? static_cast<la_int64_t>(member.text.size()) : 0);
        REQUIRE(archive_write_header(writer.get(), entry.get()) == ARCHIVE_OK);
        if (has_content)
            archive_write_data(writer.get(), member.text.data(), member.text.size());
    }
    REQUIRE(archive_write_close(writer.get()) == ARCHIVE_OK);
    return file;
}

std::map<std::string, std::string> contents_of(const std::vector<Member>& members) {
    const TestFolder folder;
    std::map<std::string, std::string> contents;
    for (const auto& [path, content] : read_archive_members(write_tar(folder, members), {}))
        contents[path] = read_all(*content);
    return contents;
}

ErrorKind refusal_of(const std::vector<Member>& members) {
    try {
        contents_of(members);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("accepted");
    return ErrorKind::io;
}

using Contents = std::map<std::string, std::string>;

} // namespace

TEST_CASE("hard links in an archive are the file that they name") {
    CHECK(contents_of({{"store/one", "text"},
                       {"blobs/sha256/aa", "./store//one", Kind::hard_link},
                       {"index.json", "blobs/sha256/aa", Kind::hard_link},
                       {"store/one", "other"}}) ==
          Contents{{"store/one", "other"}, {"blobs/sha256/aa", "text"}, {"index.json", "text"}});
    CHECK(refusal_of({{"blobs/sha256/aa", "store/one", Kind::hard_link}, {"store/one", "text"}}) ==
          ErrorKind::unsupported);
}

TEST_CASE("the last of a name counts in an archive, whatever it is") {
    CHECK(contents_of({{"index.json", "first"}, {"x/../index.json", "second"}}) == Contents{{"index.json", "second"}});
    CHECK(contents_of({{"index.json", "first"}, {"index.json/", "", Kind::folder}}).empty());
    CHECK(refusal_of({{"index.json", "first"}, {"second", "s"}, {"./index.json", "second", Kind::symlink}}) ==
          ErrorKind::unsupported);
    for (const char* path : {"oci-layout", "blobs", "blobs/sha256", "blobs/sha256/bb"})
        CHECK(refusal_of({{"a", "b"}, {path, "elsewhere", Kind::symlink}}) == ErrorKind::unsupported);
    CHECK(refusal_of({{"oci-layout", "", Kind::fifo}}) == ErrorKind::unsupported);
}

TEST_CASE("links in an archive do no harm where no image is read, and nothing goes through them") {
    CHECK(contents_of({{"repositories", "", Kind::fifo},
                       {"0abc/layer.tar", "../blobs/sha256/aa", Kind::symlink},
                       {"b", "c"}}) == Contents{{"b", "c"}});
    CHECK(refusal_of({{"index.json", "first"}, {"way", ".", Kind::symlink}, {"way/index.json", "second"}}) ==
          ErrorKind::unsafe);
    CHECK(contents_of({{"way", ".", Kind::symlink}, {"way", "file"}}) == Contents{{"way", "file"}});
    CHECK(contents_of({{"way", ".", Kind::symlink}, {"way/", "", Kind::folder}, {"way/x", "y"}}) ==
          Contents{{"way/x", "y"}});
}

TEST_CASE("an archive that ends within its last file is cut off") {
    const TestFolder folder;
    const fs::path file = write_tar(folder, {{"a", "b"}, {"blobs/sha256/cc", std::string(3000, 'x')}});
    fs::resize_file(file, 1024 + 512 + 2999);
    CHECK_THROWS_WITH(read_archive_members(file, {}), Catch::Contains("in the middle of 'blobs/sha256/cc'"));
    fs::resize_file(file, 1024);
    CHECK(read_archive_members(file, {}).size() == 1);
}
