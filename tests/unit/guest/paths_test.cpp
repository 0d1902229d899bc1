// Paths, mounts and trees of guests on damaged and hostile disks.
#include "formats/base/error.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/guest/tree_walk.hpp"
#include "tests/support/memory_file_system.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryFileSystem;

namespace {

std::shared_ptr<MemoryFileSystem> made() {
    return std::make_shared<MemoryFileSystem>();
}

MountedGuest alone(const std::shared_ptr<MemoryFileSystem>& root) {
    return MountedGuest({{{"/", "", "", "", "", std::nullopt}, root}});
}

std::string failure(ErrorKind kind, const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& error) {
        return (error.kind() == kind ? "" : "of another kind: ") + std::string(error.what());
    }
    return "nothing";
}

// What a tree's entries are: "path/" of folders, "path=content", "path->target", "path==first" of hard links.
class TextSink final : public TreeSink {
  public:
    void add(const Entry& entry, const FileContent* content) override {
        text += entry.path;
        if (entry.status.type == FileType::directory)
            text += "/";
        else if (entry.hard_link_to)
            text += "==" + *entry.hard_link_to;
        else if (entry.status.type == FileType::symlink)
            text += "->" + entry.link_target;
        else if (content != nullptr)
            text += "=" + content_of(*content);
        else
            text += "!";
        text += ";";
    }
    std::string text;

  private:
    struct Collected final : public ByteSink {
        void write(std::span<const std::byte> bytes) override {
            text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        }
        std::string text;
    };
    static std::string content_of(const FileContent& content) {
        Collected all;
        content.copy_to(all);
        return all.text;
    }
};

std::string tree_of(const MountedGuest& guest, const ExportOptions& options = {}) {
    TextSink sink;
    guest.export_tree(options, sink, {});
    return sink.text;
}

} // namespace

TEST_CASE("A guest begins with a root") {
    CHECK(failure(ErrorKind::not_found, [] { MountedGuest({}); }) == "the guest has no root file system");
    CHECK(failure(ErrorKind::not_found, [] {
              MountedGuest({{{"/boot", "", "", "", "", std::nullopt}, made()}});
          }) == "the guest has no root file system");
}

TEST_CASE("A link without a target leads nowhere") {
    const auto root = made();
    root->symlink("etc/empty", "").file("etc/passwd", "x").symlink("over", "etc/empty/passwd");
    const MountedGuest guest = alone(root);
    CHECK_FALSE(guest.status("/etc/empty", FinalLink::follow));
    CHECK(guest.status("/etc/empty", FinalLink::keep)->type == FileType::symlink);
    CHECK_FALSE(guest.read_file("/etc/empty/passwd", 10));
    CHECK_FALSE(guest.read_file("/over", 10));
    CHECK(guest.read_link("/etc/empty") == "");
    CHECK_FALSE(exists(guest, "/etc/empty"));
}

TEST_CASE("Paths have Linux' length, and links do not expand without end") {
    const auto root = made();
    root->file("a", "x");
    std::string doubling = "l0";
    root->symlink("l0", "d/../d/../a").folder("d");
    // Each link has the one before it some hundred times: 40 of them would have more parts than there are atoms.
    for (int i = 1; i < 40; ++i) {
        std::string target;
        for (int part = 0; part < 300; ++part)
            target += "d/../";
        root->symlink("l" + std::to_string(i), target + "l" + std::to_string(i - 1) + "/" + target);
    }
    const MountedGuest guest = alone(root);
    CHECK(guest.read_file("/" + std::string(4094, '/') + "a", 10) == "x");
    CHECK(failure(ErrorKind::limit, [&] { guest.read_file("/" + std::string(4095, '/') + "a", 10); }) ==
          "a path is longer than Linux allows");
    CHECK(guest.read_file("/l0", 10) == "x");
    CHECK_THAT(failure(ErrorKind::unsafe, [&] { guest.status("/l39", FinalLink::follow); }),
               Catch::StartsWith("symbolic links expand without end in '/l39'"));
    CHECK_FALSE(exists(guest, "/l39"));
    CHECK_FALSE(try_read_text(guest, "/l39"));
}

TEST_CASE("What is asked of a file is what it is, and ranges end with it") {
    const auto root = made();
    root->file("f", "0123456789").folder("d").symlink("l", "f").symlink("dl", "d").special("p", FileType::fifo);
    root->file("empty", "");
    const MountedGuest guest = alone(root);
    CHECK(guest.read_range("/f", 0, 4) == "0123");
    CHECK(guest.read_range("/f", 9, 4) == "9");
    CHECK(guest.read_range("/f", 10, 4) == "");
    CHECK(guest.read_range("/f", ~std::uint64_t{0}, 4) == "");
    CHECK(guest.read_range("/f", 3, 0) == "");
    CHECK(guest.read_range("/l", 2, 2) == "23");
    CHECK(guest.read_file("/f", 10) == "0123456789");
    CHECK(failure(ErrorKind::limit, [&] { guest.read_file("/f", 9); }) ==
          "'/f' in the guest is larger than such a file ever is");
    CHECK(guest.read_file("/empty", 0) == "");
    for (const char* other : {"/d", "/p", "/none", "/f/x", "/dl"}) {
        CAPTURE(other);
        CHECK_FALSE(guest.read_file(other, 10));
        CHECK_FALSE(guest.read_range(other, 0, 10));
    }
    CHECK_FALSE(guest.list("/f"));
    CHECK_FALSE(guest.list("/none"));
    CHECK(guest.list("/dl") == std::vector<std::string>{});
    CHECK(guest.list("") == std::vector<std::string>{"d", "dl", "empty", "f", "l", "p"});
    CHECK_FALSE(guest.read_link("/f"));
    CHECK_FALSE(guest.read_link("/none"));
    CHECK(guest.read_link("l") == "f");
    CHECK(guest.attributes("/none").empty());
    CHECK(guest.status("/l", FinalLink::keep)->type == FileType::symlink);
    CHECK(guest.status("/l", FinalLink::follow)->type == FileType::regular);
    CHECK_FALSE(try_read_text(guest, "/f", 9)); // and no error
    CHECK(try_read_text(guest, "/f", 10) == "0123456789");
}

TEST_CASE("Of two mounts on one place the last is seen, and its folder below the first is not") {
    const auto root = made();
    const auto first = made();
    const auto second = made();
    root->file("mnt/a", "root's");
    first->file("a", "first").folder("sub");
    second->file("b", "second");
    const MountedGuest guest({{{"/", "", "", "", "", std::nullopt}, root},
                              {{"/mnt", "v1", "", "", "", std::nullopt}, first},
                              {{"/mnt", "v2", "", "", "", std::nullopt}, second}});
    CHECK_FALSE(guest.read_file("/mnt/a", 10));
    CHECK(guest.read_file("/mnt/b", 10) == "second");
    CHECK(guest.read_file("/mnt/../mnt/b", 10) == "second");
    CHECK(guest.resolve("/mnt/b", FinalLink::keep)->mount == 2);
    CHECK(guest.mounts().size() == 3);
    CHECK(guest.mounts()[2].volume == "v2");
    CHECK(tree_of(guest) == "/;mnt/;mnt/b=second;");
}

TEST_CASE("A tree leaves out what it is told to, and keeps links and special files as they are") {
    const auto root = made();
    root->file("a/1", "one").hard_link("b/2", "a/1").symlink("c", "/a").special("d", FileType::character_device);
    root->file("tmp/x", "gone").folder("tmp/y").file("tmpx", "kept").special("s", FileType::socket);
    const MountedGuest guest = alone(root);
    CHECK(tree_of(guest) == "/;a/;a/1=one;b/;b/2==a/1;c->/a;d!;s!;tmp/;tmp/x=gone;tmp/y/;tmpx=kept;");
    CHECK(tree_of(guest, {{"/tmp", "/c", "/none"}, {}}) == "/;a/;a/1=one;b/;b/2==a/1;d!;s!;tmpx=kept;");
    CHECK(tree_of(guest, {{}, {"/tmp", "/a/1"}}) == "/;a/;a/1=one;b/;b/2==a/1;c->/a;d!;s!;tmp/;tmpx=kept;");
    CHECK(tree_of(guest, {{"/a"}, {}}) == "/;b/;b/2=one;c->/a;d!;s!;tmp/;tmp/x=gone;tmp/y/;tmpx=kept;");
    CHECK(tree_of(guest, {{}, {"/"}}) == "/;");
}

namespace {

// Each folder holds one more, so many of them.
class DeepFileSystem final : public FileSystem {
  public:
    explicit DeepFileSystem(std::uint64_t depth) : depth_(depth) {}
    NodeId root() const override { return NodeId{0}; }
    FileStatus status(NodeId) const override {
        FileStatus status;
        status.type = FileType::directory;
        return status;
    }
    std::vector<DirectoryEntry> list(NodeId folder) const override {
        const std::uint64_t at = static_cast<std::uint64_t>(folder);
        return at < depth_ ? std::vector<DirectoryEntry>{{"d", NodeId{at + 1}}} : std::vector<DirectoryEntry>();
    }
    std::optional<NodeId> lookup(NodeId, std::string_view) const override { return std::nullopt; }
    std::string read_link(NodeId) const override { return {}; }
    std::vector<ExtendedAttribute> attributes(NodeId) const override { return {}; }
    void read_at(NodeId, std::uint64_t, std::span<std::byte>) const override {}
    FileSystemUsage usage() const override { return {}; }

  private:
    std::uint64_t depth_;
};

} // namespace

TEST_CASE("Folders deeper than any program makes them end the walk") {
    const auto walk = [](std::uint64_t depth) {
        const DeepFileSystem deep(depth);
        TextSink sink;
        walk_tree({{"/", &deep, deep.root(), {}}}, {}, sink, {});
        return std::count(sink.text.begin(), sink.text.end(), ';');
    };
    CHECK(walk(2047) == 2048);
    CHECK_THAT(failure(ErrorKind::limit, [&] { walk(2048); }),
               Catch::EndsWith("folders lie deeper in each other than in any real tree"));
}

TEST_CASE("Folders that are told to be left empty are there, and the root of their tree is not") {
    const auto root = made();
    root->file("home/a", "1").file("snap/1/x", "2").file("snap/2/y", "3");
    const auto node = [&](const char* path) { return root->lookup(root->root(), path).value(); };
    const NodeId snap = node("snap");
    const NodeId one = root->lookup(snap, "1").value();
    std::vector<NodeId> left{root->root(), one};
    std::sort(left.begin(), left.end());
    TextSink sink;
    walk_tree({{"/", root.get(), root->root(), left}}, {}, sink, {});
    CHECK(sink.text == "/;home/;home/a=1;snap/;snap/1/;snap/2/;snap/2/y=3;");
}

TEST_CASE("A walk that is called off ends") {
    const auto root = made();
    root->file("a", "1");
    Cancellation cancellation;
    cancellation.cancel();
    OperationContext operation;
    operation.cancellation = &cancellation;
    TextSink sink;
    const std::string why = failure(ErrorKind::cancelled, [&] { alone(root).export_tree({}, sink, operation); });
    CHECK(why != "nothing");
    CHECK_FALSE(why.starts_with("of another kind"));
}

TEST_CASE("What guests say of missing things has its words and its remedy") {
    CHECK(to_string(MountNeed::required) == "required");
    CHECK(to_string(MountNeed::optional) == "optional");
    CHECK(hint_for(MissingRemedy::key).kind == HintKind::key);
    CHECK(hint_for(MissingRemedy::appliance).kind == HintKind::guest_backend);
    CHECK(hint_for(MissingRemedy::none).kind == Hint{}.kind);
}
