#include "formats/base/error.hpp"
#include "libconvert/container/container_tree.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace vm2oci;

namespace {

TarMember member_of(const std::string& path, TarType type = TarType::regular) {
    TarMember member;
    member.path = member.stored_path = path;
    member.type = type;
    member.permissions = type == TarType::directory ? 0755 : 0644;
    return member;
}

TarMember folder(const std::string& path, std::uint32_t permissions = 0755) {
    TarMember member = member_of(path, TarType::directory);
    member.permissions = permissions;
    return member;
}

TarMember file(const std::string& path, std::uint64_t offset = 512, std::uint64_t size = 3) {
    TarMember member = member_of(path);
    member.content_offset = offset;
    member.content_size = size;
    return member;
}

TarMember symlink_to(const std::string& path, const std::string& target) {
    TarMember member = member_of(path, TarType::symlink);
    member.link_target = target;
    return member;
}

TarMember hard_link_to(const std::string& path, const std::string& target) {
    TarMember member = member_of(path, TarType::hard_link);
    member.link_target = target;
    return member;
}

ContainerTree tree_of(const std::vector<std::vector<TarMember>>& layers) {
    ContainerTree tree;
    for (const auto& layer : layers) {
        tree.begin_layer();
        for (const TarMember& member : layer)
            tree.add(member);
    }
    return tree;
}

std::vector<std::string> paths_of(const ContainerTree& tree) {
    std::vector<std::string> paths;
    tree.for_each([&](const Entry& entry, const auto&) { paths.push_back(entry.path); });
    return paths;
}

ErrorKind refusal_of(const std::vector<std::vector<TarMember>>& layers) {
    try {
        tree_of(layers);
    } catch (const Error& error) {
        return error.kind();
    }
    FAIL("it was not refused");
    return {};
}

using Paths = std::vector<std::string>;

} // namespace

TEST_CASE("a tree without layers is an empty root") {
    const ContainerTree tree;
    CHECK(paths_of(tree) == Paths{""});
    CHECK(tree.find("")->status.type == FileType::directory);
    CHECK(tree.find("/")->status.permissions == 0755);
    CHECK_FALSE(tree.find("x"));
}

TEST_CASE("folders stand before what they hold, siblings in byte order") {
    const ContainerTree tree =
        tree_of({{file("b"), folder("a"), file("a/z"), file("a.b"), file("a/\xff"), file("a/Z")}});
    CHECK(paths_of(tree) == Paths{"", "a", "a/Z", "a/z", "a/\xff", "a.b", "b"});
}

TEST_CASE("a member replaces what its name stood for, unless both are folders") {
    const ContainerTree tree = tree_of({{folder("d", 0700), file("d/x"), file("f")},
                                        {folder("d", 0711), folder("f"), file("f/in")},
                                        {symlink_to("d", "f"), file("d/through", 99)}});
    CHECK(paths_of(tree) == Paths{"", "d", "f", "f/in", "f/through"});
    CHECK(tree.find("d")->status.type == FileType::directory); // the link's end
    CHECK(tree.find("d/through")->content->offset == 99);
    const ContainerTree again = tree_of({{folder("d", 0700), file("d/x")}, {folder("d", 0711)}});
    CHECK(again.find("d")->status.permissions == 0711);
    CHECK(again.find("d/x"));
}

TEST_CASE("contents lie in the layer that had the member last") {
    const ContainerTree tree = tree_of({{file("x", 512, 3), file("y")}, {}, {file("x", 1024, 7)}});
    CHECK(tree.find("x")->content->layer == 2);
    CHECK(tree.find("x")->content->offset == 1024);
    CHECK(tree.find("x")->status.size == 7);
    CHECK(tree.find("y")->content->layer == 0);
}

TEST_CASE("whiteouts remove what lower layers left, wherever they stand") {
    const std::vector<TarMember> base = {folder("d"), file("d/a"), file("d/b"), folder("d/sub"), file("d/sub/c")};
    CHECK(paths_of(tree_of({base, {file("d/.wh.a")}})) == Paths{"", "d", "d/b", "d/sub", "d/sub/c"});
    CHECK(paths_of(tree_of({base, {file(".wh.d")}})) == Paths{""});
    CHECK(paths_of(tree_of({base, {file("d/new"), file("d/.wh..wh..opq")}})) == Paths{"", "d", "d/new"});
    CHECK(paths_of(tree_of({base, {file("d/.wh..wh..opq"), file("d/new")}})) == Paths{"", "d", "d/new"});
    CHECK(paths_of(tree_of({base, {file("d/a", 99), file("d/.wh.a")}})).size() == 6);
    CHECK(paths_of(tree_of({base, {file("d/sub/n"), file("d/.wh.sub")}})) ==
          Paths{"", "d", "d/a", "d/b", "d/sub", "d/sub/n"});
    CHECK(paths_of(tree_of({base, {file("d/sub/n"), file(".wh.d")}})) == Paths{"", "d", "d/sub", "d/sub/n"});
    CHECK(paths_of(tree_of({base, {file(".wh.nothing"), file("no/.wh.where"), file("d/a/.wh.x")}})).size() == 6);
    // A second mark in the same layer removes nothing of that layer, and the next layer's does.
    CHECK(paths_of(tree_of({base, {file("d/.wh..wh..opq"), file("d/n"), file("d/.wh..wh..opq")}})) ==
          Paths{"", "d", "d/n"});
    CHECK(paths_of(tree_of({base, {file("d/n")}, {file("d/.wh..wh..opq")}})) == Paths{"", "d"});
}

TEST_CASE("hard links share a file over layers, and outlive its first name") {
    const ContainerTree tree = tree_of({{file("a", 512)}, {hard_link_to("b", "./a")}, {file("a", 4096)}});
    CHECK(tree.find("b")->content->offset == 512);
    CHECK(tree.find("a")->content->offset == 4096);
    CHECK(tree.find("b")->status.link_count == 1);

    const ContainerTree linked =
        tree_of({{folder("d"), file("d/a")}, {hard_link_to("b", "/d/a"), hard_link_to("c", "b")}});
    CHECK(linked.find("c")->status.link_count == 3);
    std::vector<std::string> links;
    linked.for_each([&](const Entry& entry, const std::optional<ContainerContent>& content) {
        if (entry.hard_link_to)
            links.push_back(entry.path + "=" + *entry.hard_link_to + (content ? " with content" : ""));
    });
    CHECK(links == Paths{"c=b", "d/a=b"});
}

TEST_CASE("names on the way are resolved inside of the tree") {
    const ContainerTree tree =
        tree_of({{folder("usr"), folder("usr/bin"), symlink_to("bin", "usr/bin"), symlink_to("up", "../../../usr"),
                  symlink_to("abs", "/usr/../usr/bin"), symlink_to("later", "made/by/it")},
                 {file("bin/a"), file("up/bin/b"), file("abs/c"), file("later/d"), hard_link_to("abs/e", "up/bin/a")}});
    for (const char* path : {"usr/bin/a", "usr/bin/b", "usr/bin/c", "made/by/it/d", "usr/bin/e", "abs/a", "up/bin/c"})
        CHECK(tree.find(path));
    CHECK(tree.find("/bin/../bin/a"));
    CHECK_FALSE(tree.find("bin/a/x"));
}

TEST_CASE("what no runtime unpacks is refused") {
    CHECK(refusal_of({{hard_link_to("x", "../y")}}) == ErrorKind::unsafe);
    CHECK(refusal_of({{hard_link_to("x", "y")}}) == ErrorKind::corrupt);
    CHECK(refusal_of({{folder("d"), hard_link_to("x", "d")}}) == ErrorKind::corrupt);
    CHECK(refusal_of({{file("x"), hard_link_to("x", "x")}}) == ErrorKind::corrupt);
    CHECK(refusal_of({{symlink_to("a", "b"), symlink_to("b", "a"), file("a/x")}}) == ErrorKind::unsafe);
    CHECK(refusal_of({{file("x"), file("x/y")}}) == ErrorKind::corrupt);
    CHECK(refusal_of({{symlink_to("", "/etc")}}) == ErrorKind::unsafe);
    CHECK(refusal_of({{symlink_to("x", "")}}) == ErrorKind::corrupt);
    CHECK(refusal_of({{member_of("x", TarType::other)}}) == ErrorKind::unsupported);
    CHECK(refusal_of({{file(std::string(256, 'n'))}}) == ErrorKind::limit);
    CHECK(refusal_of({{file("x", 0, kMaxContainerFile + 1)}}) == ErrorKind::limit);
    for (const char* whiteout : {".wh.", ".wh..", ".wh...", "d/.wh."})
        CHECK(refusal_of({{file(whiteout)}}) == ErrorKind::unsafe);
    TarMember owned = file("x");
    owned.uid = std::uint64_t{1} << 32;
    CHECK(refusal_of({{owned}}) == ErrorKind::unsupported);
}

TEST_CASE("links that lead ever deeper end") {
    // Each name alone is short, and together they lead deeper than any path can.
    std::vector<TarMember> layer = {folder("d")};
    std::string deep = "d";
    for (int i = 0; i < 40; ++i) {
        layer.push_back(symlink_to("l" + std::to_string(i), deep));
        deep = "l" + std::to_string(i) + "/" + std::string(200, 'n');
        layer.push_back(folder(deep));
    }
    CHECK(refusal_of({layer}) == ErrorKind::limit);
}

TEST_CASE("attributes of all kinds come through") {
    TarMember device = member_of("dev", TarType::block_device);
    device.device_major = 300;
    device.device_minor = 70000;
    TarMember with_attributes = file("x");
    with_attributes.attributes = {{"security.capability", "cap"}, {"user.a", "b"}};
    with_attributes.modified = {-2, 500000000};
    with_attributes.permissions = 04755;
    with_attributes.uid = 2000000000;
    const ContainerTree tree = tree_of({{device, with_attributes, member_of("pipe", TarType::fifo)}});
    CHECK(tree.find("dev")->status.device_major == 300);
    CHECK(tree.find("dev")->status.device_minor == 70000);
    CHECK(tree.find("x")->attributes == with_attributes.attributes);
    CHECK(tree.find("x")->status.modified == Timestamp{-2, 500000000});
    CHECK(tree.find("x")->status.permissions == 04755);
    CHECK(tree.find("x")->status.uid == 2000000000);
    CHECK(tree.find("pipe")->status.type == FileType::fifo);
    // A folder that comes again has the attributes of the last time alone.
    TarMember first = folder("d");
    first.attributes = {{"user.a", "1"}};
    CHECK(tree_of({{first}, {folder("d")}}).find("d")->attributes.empty());
}

TEST_CASE("what a file system needs room for is counted once a file") {
    const ContainerTree tree =
        tree_of({{folder("d"), file("d/x", 512, 5000), file("gone")}, {hard_link_to("d/y", "d/x"), file(".wh.gone")}});
    const ContainerUsage usage = tree.usage();
    CHECK(usage.files == 3); // the root, d, x
    CHECK(usage.content_bytes >= 5000);
    CHECK(usage.content_bytes < 20000);
}

TEST_CASE("marks behind each of many members are looked at once") {
    ContainerTree tree;
    tree.begin_layer();
    constexpr int count = 50'000;
    for (int i = 0; i < count; ++i) {
        tree.add(file("d/" + std::to_string(i)));
        tree.add(file("d/.wh..wh..opq"));
    }
    CHECK(tree.usage().files == count + 2);
}
