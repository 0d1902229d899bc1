#include "formats/base/error.hpp"
#include "libconvert/source/layered_view.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>

using namespace vm2oci;

namespace {

struct Member {
    std::string path;
    TarType type = TarType::regular;
    std::string target = "";
};

// Of the layers, lowest first. Contents are numbered through, from 1.
LayeredView view_of(const std::vector<std::vector<Member>>& layers) {
    LayeredView view;
    std::uint64_t number = 0;
    for (const std::vector<Member>& layer : layers) {
        view.begin_layer();
        for (const Member& one : layer) {
            TarMember member;
            member.path = one.path;
            member.type = one.type;
            member.link_target = one.target;
            member.content_offset = ++number;
            view.add(member);
        }
    }
    return view;
}

// Of what members stand for.
std::vector<std::string> paths_of(const LayeredView& view) {
    std::vector<std::string> paths;
    view.for_each([&](const std::string& path, const LayeredFile& file) {
        if (file.content_offset != 0)
            paths.push_back(path);
    });
    std::sort(paths.begin(), paths.end());
    return paths;
}

bool in_doubt(const LayeredView& view, std::string_view path) {
    try {
        view.refuse_doubt(path);
        return false;
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::unsafe);
        return true;
    }
}

using Paths = std::vector<std::string>;

} // namespace

TEST_CASE("the last of a name counts, and its content") {
    const LayeredView view = view_of({{{"disk/a.img"}, {"x"}, {"disk/a.img"}}, {{"y"}}});
    CHECK(view.find("disk/a.img")->content_offset == 3);
    CHECK(view.find("disk/a.img")->layer == 0);
    CHECK(view.children("disk").size() == 1);
    CHECK_FALSE(in_doubt(view, ""));
    CHECK(view_of({{{"a"}}, {{"a"}}}).find("a")->layer == 1);
    CHECK(view.find("disk") == nullptr);
    CHECK(view.find("a/b/c") == nullptr);
}

TEST_CASE("folders that only what lies in them stands for are there") {
    const LayeredView view = view_of({{{"disk/a.img"}, {"disk/old/b.img"}}, {{"disk/old/.wh.b.img"}, {"x/y/z"}}});
    const auto found = view.children("disk");
    REQUIRE(found.size() == 2);
    CHECK(found[1].first == "disk/old");
    CHECK(found[1].second->type == TarType::directory);
    CHECK(found[1].second->permissions == 0755);
    CHECK(view.children("").size() == 2);
    std::map<std::string, TarType> all;
    view.for_each([&](const std::string& path, const LayeredFile& file) { all[path] = file.type; });
    CHECK(all.size() == 6);
    CHECK(all["x/y"] == TarType::directory);
    CHECK(view_of({{{"disk/a.img"}, {"disk/old/b"}}, {{"disk/.wh.old"}}}).children("disk").size() == 1);
}

TEST_CASE("whiteouts hide what lower layers have") {
    CHECK(paths_of(view_of({{{"disk/a"}, {"disk/b"}}, {{"disk/.wh.a"}}})) == Paths{"disk/b"});
    CHECK(paths_of(view_of({{{"v/s/x"}, {"v/s2"}}, {{"v/.wh.s"}, {"v/s/y"}}})) == Paths{"v/s/y", "v/s2"});
    CHECK(paths_of(view_of({{{"a"}}, {}, {{".wh.a"}}, {{"a"}}})) == Paths{"a"});
    CHECK(paths_of(view_of({{{"a"}}, {{".wh.b"}, {".wh..wh.plnk"}, {".wh..wh.aufs"}}})) == Paths{"a"});
    for (const char* name : {".wh.", ".wh..", ".wh...", "disk/.wh.."})
        CHECK_THROWS_AS(view_of({{{name}}}), Error);
}

TEST_CASE("opaque marks hide lower layers only, wherever they stand") {
    const std::vector<Member> below = {{"disk/old.img"}, {"disk/sub/z"}, {"else"}};
    const Paths expected = {"disk/new.img", "else"};
    CHECK(paths_of(view_of({below, {{"disk/.wh..wh..opq"}, {"disk/new.img"}}})) == expected);
    CHECK(paths_of(view_of({below, {{"disk/new.img"}, {"disk/.wh..wh..opq"}}})) == expected);
    const LayeredView twice =
        view_of({below, {{"disk/.wh..wh..opq"}}, {{"disk/m"}}, {{"disk/n"}, {"disk/.wh..wh..opq"}}});
    CHECK(paths_of(twice) == Paths{"disk/n", "else"});
    CHECK_FALSE(in_doubt(twice, ""));
    CHECK(paths_of(view_of({below, {{".wh..wh..opq"}, {"q"}}})) == Paths{"q"});
}

TEST_CASE("a file over a folder replaces it, a folder over a folder does not") {
    CHECK(paths_of(view_of({{{"d", TarType::directory}, {"d/x"}}, {{"d"}}})) == Paths{"d"});
    CHECK(paths_of(view_of({{{"d/x"}}, {{"d", TarType::directory}, {"d/y"}}})) == Paths{"d", "d/x", "d/y"});
    const LayeredView mixed =
        view_of({{{"disk/evil.img"}}, {{"disk"}, {"disk", TarType::directory}, {"disk/good.img"}}});
    CHECK(in_doubt(mixed, "disk"));
    CHECK(in_doubt(mixed, "disk/good.img"));
    CHECK_FALSE(in_doubt(mixed, "boot"));
}

TEST_CASE("hard links have the content of their target, in their layer") {
    const LayeredView view = view_of({{{"store/h.img"}, {"disk/d.img", TarType::hard_link, "/store//h.img"}}});
    CHECK(view.find("disk/d.img")->type == TarType::regular);
    CHECK(view.find("disk/d.img")->content_offset == 1);
    // What replaces the target later does not change the link.
    CHECK(view_of({{{"h"}, {"l", TarType::hard_link, "h"}, {"h"}}}).find("l")->content_offset == 1);
    CHECK(view_of({{{"h"}}, {{"l", TarType::hard_link, "h"}}}).find("l")->type == TarType::hard_link);
    for (const char* target : {"l", "../h", "nothing", "", "d"})
        CHECK(view_of({{{"d", TarType::directory}, {"l", TarType::hard_link, target}}}).find("l")->type ==
              TarType::hard_link);
}

TEST_CASE("what goes through a link is in doubt, by name and where it leads") {
    const Member link{"way", TarType::symlink, "disk"};
    for (const auto& layers : {std::vector<std::vector<Member>>{{link, {"way/evil.img"}}},
                               std::vector<std::vector<Member>>{{{"disk/d.img"}, link}, {{"way/evil.img"}}}}) {
        const LayeredView view = view_of(layers);
        CHECK(in_doubt(view, "disk"));
        CHECK(in_doubt(view, "way/evil.img"));
        CHECK_FALSE(in_doubt(view, "boot/vmlinuz"));
    }
    const LayeredView usual =
        view_of({{{"usr/bin/sh"}, {"bin", TarType::symlink, "usr/bin"}, {"disk/d"}}, {{"bin/x"}}});
    CHECK_FALSE(in_doubt(usual, "disk"));
    CHECK(in_doubt(usual, "usr/bin/x"));
    CHECK_FALSE(in_doubt(usual, "usr/bin/sh"));
    CHECK(in_doubt(view_of({{{"a/w", TarType::symlink, "../disk"}, {"a/w/x"}}}), "disk"));
    // Whiteouts and opaque marks, links to links, and links out of the root.
    CHECK(in_doubt(view_of({{{"disk/d"}, link}, {{"way/.wh.d"}}}), "disk"));
    CHECK(in_doubt(view_of({{{"disk/d"}, link}, {{"way/.wh..wh..opq"}}}), "disk"));
    CHECK(in_doubt(view_of({{link, {"two", TarType::symlink, "way"}, {"two/x"}}}), "disk"));
    CHECK(in_doubt(view_of({{{"b/c", TarType::symlink, "../disk"}, {"a", TarType::symlink, "b"}, {"a/c/x"}}}), "disk"));
    CHECK(in_doubt(view_of({{{"out", TarType::symlink, "../../disk"}, {"out/x"}}}), "disk"));
    CHECK(in_doubt(view_of({{{"disk"}, {"disk/x"}}}), "disk"));
    // One layer's file and its whiteout, in the order in which readers disagree.
    CHECK(in_doubt(view_of({{{"disk/d"}, {"disk/.wh.d"}}}), "disk"));
    CHECK_FALSE(in_doubt(view_of({{{"disk/.wh.d"}, {"disk/d"}}}), "disk"));
}

TEST_CASE("too deep and too many are refused") {
    std::string deep = "a";
    for (int i = 0; i < 1000; ++i)
        deep += "/a";
    CHECK_THROWS_AS(view_of({{{deep}}}), Error);
    LayeredView view;
    view.begin_layer();
    TarMember member;
    bool refused = false;
    for (int i = 0; i < 30'000 && !refused; ++i) {
        member.path = std::string(4000, 'n') + std::to_string(i);
        try {
            view.add(member);
        } catch (const Error& error) {
            refused = error.kind() == ErrorKind::limit;
        }
    }
    CHECK(refused);
}

TEST_CASE("what runtimes refuse to unpack is known, wherever it lies") {
    CHECK(view_of({{{"disk/a.img"}, {"b"}, {"c", TarType::hard_link, "b"}}}).obstacle() == nullptr);
    for (const Member& link : {Member{"lib/x", TarType::hard_link, "nowhere"}, Member{"y", TarType::hard_link, "y"},
                               Member{"z", TarType::hard_link, "../out"}, Member{"l", TarType::hard_link, "later"}}) {
        const LayeredView view = view_of({{{"disk/a.img"}, link, {"later"}}});
        REQUIRE(view.obstacle() != nullptr);
        CHECK(view.obstacle()->everywhere);
        CHECK_FALSE(in_doubt(view, "disk"));
    }
    const LayeredView lower = view_of({{{"b"}}, {{"c", TarType::hard_link, "b"}}});
    REQUIRE(lower.obstacle() != nullptr);
    CHECK_FALSE(lower.obstacle()->everywhere);
    const LayeredView through = view_of({{{"s", TarType::symlink, "t"}, {"s/file"}, {"disk/a.img"}}});
    REQUIRE(through.obstacle() != nullptr);
    CHECK_FALSE(through.obstacle()->everywhere);
}
