// Changes to a folder of this machine, as the appliance makes them to a file system of a guest.
#include "tests/support/temporary_folder.hpp"

#include "guest-kernel/agent/appliance.hpp"
#include "guest-kernel/agent/mounted_editor.hpp"
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

using namespace vm2oci;
using namespace vm2oci::guest;
using namespace vm2oci::test;

namespace {

constexpr std::int64_t kTime = 1700000000;

class Text final : public FileContent {
  public:
    explicit Text(std::string text) : text_(std::move(text)) {}
    void copy_to(ByteSink& out) const override { out.write(as_bytes(text_)); }
    std::uint64_t size() const { return text_.size(); }

  private:
    std::string text_;
};

struct Folder {
    TemporaryFolder temporary;
    std::filesystem::path root = temporary.path() / "root";
    // New files belong to whoever runs the test.
    FileAttributes ours{std::nullopt, ::geteuid(), ::getegid(), ""};

    Folder() {
        std::filesystem::create_directories(root / "etc");
        put("etc/hostname", "old\n", 0640);
    }
    void put(const std::string& path, const std::string& text, unsigned mode) const {
        std::ofstream(root / path) << text;
        ::chmod((root / path).c_str(), mode);
        const std::array<timespec, 2> times = {timespec{1000, 1}, timespec{2000, 2}};
        ::utimensat(AT_FDCWD, (root / path).c_str(), times.data(), 0);
    }
    std::string read(const std::string& path) const {
        std::ifstream file(root / path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    struct stat status(const std::string& path) const {
        struct stat status {};
        REQUIRE(::lstat((root / path).c_str(), &status) == 0);
        return status;
    }
    MountedEditor editor() const { return {UniqueFd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), kTime}; }
    void write(const std::string& path, const std::string& text, const FileAttributes& attributes) const {
        const Text content(text);
        editor().write_file(path, content.size(), content, attributes);
    }
};

template <class Body>
ErrorKind kind_of(Body body) {
    try {
        body();
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::cancelled; // nothing here is
}

} // namespace

TEST_CASE("a file that is replaced keeps its owner, mode and time of access") {
    const Folder folder;
    const struct stat before = folder.status("etc/hostname");
    folder.write("etc/hostname", "new name\n", {});
    const struct stat after = folder.status("etc/hostname");
    CHECK(folder.read("etc/hostname") == "new name\n");
    CHECK(after.st_mode == before.st_mode);
    CHECK(after.st_ino == before.st_ino);
    CHECK(after.st_mtim.tv_sec == kTime);
    CHECK(after.st_mtim.tv_nsec == 0);
    CHECK(after.st_atim.tv_sec == 1000);
    // No name came or went.
    CHECK(folder.status("etc").st_mtim.tv_sec != kTime);
    folder.write("etc/hostname", "", {04755, std::nullopt, std::nullopt, ""});
    CHECK(folder.status("etc/hostname").st_mode == (S_IFREG | 04755U));
    CHECK(folder.status("etc/hostname").st_size == 0);
}

TEST_CASE("extended attributes of a replaced file survive") {
    const Folder folder;
    const std::string path = (folder.root / "etc/hostname").string();
    if (::setxattr(path.c_str(), "user.kept", "value", 5, 0) != 0)
        return; // no such attributes where temporary files lie
    folder.write("etc/hostname", "new\n", {});
    std::array<char, 16> value{};
    CHECK(::getxattr(path.c_str(), "user.kept", value.data(), value.size()) == 5);
}

TEST_CASE("a new file has what was asked for, whatever the umask and the folder say") {
    const Folder folder;
    const mode_t old = ::umask(0077);
    ::chmod((folder.root / "etc").c_str(), 02775);
    folder.write("etc/new", "text", folder.ours);
    FileAttributes attributes = folder.ours;
    attributes.permissions = 0600;
    folder.write("etc/secret", "text", attributes);
    folder.editor().make_folder("etc/cloud", folder.ours);
    ::umask(old);
    CHECK(folder.status("etc/new").st_mode == (S_IFREG | 0644U));
    CHECK(folder.status("etc/secret").st_mode == (S_IFREG | 0600U));
    CHECK(folder.status("etc/cloud").st_mode == (S_IFDIR | 0755U));
    CHECK(folder.status("etc/new").st_atim.tv_sec == kTime);
    CHECK(folder.status("etc/cloud").st_mtim.tv_sec == kTime);
    CHECK(folder.status("etc").st_mtim.tv_sec == kTime);
}

TEST_CASE("other names of a file keep what it held") {
    const Folder folder;
    std::filesystem::create_hard_link(folder.root / "etc/hostname", folder.root / "etc/other");
    folder.write("etc/hostname", "new\n", {});
    CHECK(folder.read("etc/hostname") == "new\n");
    CHECK(folder.read("etc/other") == "old\n");
    CHECK(folder.status("etc/hostname").st_mode == (S_IFREG | 0640U));
    CHECK(folder.status("etc/hostname").st_nlink == 1);
    std::filesystem::create_hard_link(folder.root / "etc/hostname", folder.root / "etc/third");
    folder.editor().append_file("etc/third", "more\n");
    CHECK(folder.read("etc/third") == "new\nmore\n");
    CHECK(folder.read("etc/hostname") == "new\n");
    CHECK(std::distance(std::filesystem::directory_iterator(folder.root / "etc"), {}) == 3);
}

TEST_CASE("only regular files are written, and no path leads out") {
    const Folder folder;
    std::ofstream(folder.temporary.path() / "outside") << "safe";
    std::filesystem::create_symlink("../../outside", folder.root / "etc/link");
    std::filesystem::create_symlink("..", folder.root / "out");
    std::filesystem::create_symlink("etc", folder.root / "alias");
    REQUIRE(::mkfifo((folder.root / "etc/pipe").c_str(), 0600) == 0);
    for (const char* path : {"etc/link", "etc/pipe", "etc", "out/outside", "alias/hostname", "../outside", "etc/..",
                             "etc/", ".", "", "/etc/hostname"}) {
        INFO(path);
        CHECK(kind_of([&] { folder.write(path, "evil", folder.ours); }) == ErrorKind::unsafe);
    }
    CHECK(kind_of([&] { folder.editor().append_file("etc/link", "x"); }) == ErrorKind::unsafe);
    CHECK(kind_of([&] { folder.editor().make_folder("etc/link", folder.ours); }) == ErrorKind::unsafe);
    CHECK(kind_of([&] { folder.editor().remove("out/outside"); }) == ErrorKind::unsafe);
    CHECK(std::ifstream(folder.temporary.path() / "outside").peek() == 's');
    CHECK(folder.read("etc/hostname") == "old\n");
}

TEST_CASE("a content of another size than was said is an error") {
    const Folder folder;
    CHECK(kind_of([&] { folder.editor().write_file("etc/new", 3, Text("four"), folder.ours); }) == ErrorKind::io);
}

TEST_CASE("a folder goes with all that it holds, a link without what it names") {
    const Folder folder;
    std::filesystem::create_directories(folder.root / "var/deep/er/still");
    folder.put("var/deep/er/file", "x", 0400);
    std::filesystem::create_symlink("../etc", folder.root / "var/etc");
    REQUIRE(::mkfifo((folder.root / "var/deep/pipe").c_str(), 0600) == 0);
    MountedEditor editor = folder.editor();
    editor.remove("var/etc");
    CHECK(std::filesystem::exists(folder.root / "etc/hostname"));
    editor.remove("var/deep");
    CHECK(std::filesystem::is_empty(folder.root / "var"));
    CHECK(folder.status("var").st_mtim.tv_sec == kTime);
    CHECK(kind_of([&] { editor.remove("var/deep"); }) == ErrorKind::external);
    editor.finish();
}

TEST_CASE("error numbers of a file system have their kinds") {
    CHECK(kind_of_error_number(ENOSPC) == ErrorKind::limit);
    CHECK(kind_of_error_number(EDQUOT) == ErrorKind::limit);
    CHECK(kind_of_error_number(EUCLEAN) == ErrorKind::corrupt);
    CHECK(kind_of_error_number(EROFS) == ErrorKind::corrupt);
    CHECK(kind_of_error_number(ELOOP) == ErrorKind::unsafe);
    CHECK(kind_of_error_number(EINVAL) == ErrorKind::unsupported);
    CHECK(kind_of_error_number(EPERM) == ErrorKind::external);
}

TEST_CASE("a job's steps are carried out in order, with their contents") {
    const Folder folder;
    const std::filesystem::path contents = folder.temporary.path() / "contents";
    std::ofstream(contents) << std::string(4096, '-') << "first" << std::string(3000000, 'x');
    ApplianceJob job;
    job.time = kTime;
    job.volumes.push_back({0, "xfs", "", 0});
    job.steps.resize(5);
    job.steps[0] = {JobStepKind::make_folder, 0, "opt", 0, 0, "", folder.ours};
    job.steps[1] = {JobStepKind::write_file, 0, "opt/a", 4096, 5, "", folder.ours};
    job.steps[2] = {JobStepKind::append_file, 0, "opt/a", 4101, 3000000, "", {}};
    job.steps[3] = {JobStepKind::write_file, 0, "opt/b", 4096, 5, "", folder.ours};
    job.steps[4] = {JobStepKind::remove, 0, "opt/b", 0, 0, "", {}};
    std::vector<MountedVolume> volumes;
    volumes.push_back({UniqueFd(::open(folder.root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "xfs", 0});
    const UniqueFd file(::open(contents.c_str(), O_RDONLY | O_CLOEXEC));
    std::vector<std::uint32_t> begun;
    carry_out(job, volumes, file.get(), [&](std::uint32_t step) { begun.push_back(step); });
    CHECK(folder.read("opt/a") == "first" + std::string(3000000, 'x'));
    CHECK_FALSE(std::filesystem::exists(folder.root / "opt/b"));
    // A long step is heard of while it goes on.
    CHECK(std::is_sorted(begun.begin(), begun.end()));
    CHECK(std::count(begun.begin(), begun.end(), 2U) >= 3);
    CHECK(begun.back() == 4U);

    job.steps = {{JobStepKind::grow, 0, "", 0, 0, "", {}}};
    volumes.front().type = "vfat";
    CHECK(kind_of([&] { carry_out(job, volumes, file.get(), [](std::uint32_t) {}); }) == ErrorKind::unsupported);
    job.steps = {{JobStepKind::append_file, 0, "opt/a", 4000000, 3000000, "", {}}};
    CHECK(kind_of([&] { carry_out(job, volumes, file.get(), [](std::uint32_t) {}); }) == ErrorKind::corrupt);
}
