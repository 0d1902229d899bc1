// Folders of an EROFS: the kernel searches them by halves, first the blocks, then the names in one.
#include "tests/unit/erofs/erofs_fixture.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using test::WrittenTree;

namespace {

// As many names of one length as given; each takes 12 bytes and its length.
std::vector<std::string> names_of(std::size_t count, std::size_t length) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) {
        std::string name = std::to_string(100000 + i);
        name.resize(length, 'n');
        names.push_back(std::move(name));
    }
    return names;
}

std::uint64_t size_of_folder_with(const std::vector<std::string>& names) {
    WrittenTree tree;
    for (const std::string& name : names)
        tree.add(test::entry_of(name, FileType::fifo));
    tree.finish();
    CHECK(tree.names("").size() == names.size() + 2);
    return tree.inode("").size;
}

} // namespace

TEST_CASE("names stand in the order of their bytes, dots among them") {
    WrittenTree tree;
    // As the tree gives them, and not as they must stand: "!" and "-" come before ".", high bytes last.
    for (const char* name : {"Zeta", "alpha", "\xc3\xa4", "!first", "-dash", ".hidden", "..data", "~", "0"})
        tree.file(name, "");
    tree.finish();
    CHECK(tree.names("") == std::vector<std::string>{"!first", "-dash", ".", "..", "..data", ".hidden", "0", "Zeta",
                                                     "alpha", "~", "\xc3\xa4"});
}

TEST_CASE("dots lead to the folder and to what holds it, and folders count folders") {
    WrittenTree tree;
    tree.folder("a").folder("a/b").folder("a/b/c").folder("a/d").file("a/file", "x");
    tree.finish();
    struct Row {
        const char* path;
        const char* parent;
        unsigned links;
    };
    for (const Row& row : {Row{"", "", 3}, {"a", "", 4}, {"a/b", "a", 3}, {"a/b/c", "a/b", 2}, {"a/d", "a", 2}}) {
        CAPTURE(row.path);
        const test::ErofsInode folder = tree.inode(row.path);
        CHECK(folder.links == row.links);
        for (const test::ErofsName& name : tree.image().names(folder)) {
            if (name.name == ".")
                CHECK(name.inode == folder.number);
            if (name.name == "..")
                CHECK(name.inode == tree.inode(row.parent).number);
            if (name.name.front() == '.')
                CHECK(name.type == 2);
        }
    }
}

TEST_CASE("a folder ends where its last name does, and another block begins only when one is full") {
    // 24 bytes and three of names for the dots; the rest of a block is 4069.
    CHECK(size_of_folder_with({}) == 27);
    CHECK(size_of_folder_with({"a"}) == 40);
    std::vector<std::string> names = names_of(17, 200); // 17 × 212 = 3604; 465 are left
    names.push_back("z" + std::string(252, 'z'));       // 265; 200 are left
    const std::uint64_t before = 27 + 17 * 212 + 265;
    CHECK(size_of_folder_with(names) == before);
    struct Row {
        std::size_t last;
        std::uint64_t size;
    };
    for (const Row& row : {Row{187, 4095}, {188, 4096}, {189, 4096 + 201}}) {
        CAPTURE(row.last);
        std::vector<std::string> all = names;
        all.push_back("zz" + std::string(row.last - 2, '~')); // last in the order
        CHECK(size_of_folder_with(all) == row.size);
    }
}

TEST_CASE("what the rest of a block does not hold goes to the next as a whole") {
    WrittenTree tree;
    const std::vector<std::string> names = names_of(200, 255);
    for (const std::string& name : names)
        tree.file(name, name);
    tree.finish();
    std::vector<std::string> found = tree.names("");
    CHECK(std::is_sorted(found.begin(), found.end()));
    CHECK(found.size() == 202);
    for (const std::string& name : names)
        if (tree.content(name) != name)
            FAIL("another file under " << name);
    // 15 names of 255 bytes to a block: 15 × 267 = 4005; with the dots in the first.
    CHECK(tree.inode("").size == 13 * 4096 + (200 - 13 * 15) * 267);
}

TEST_CASE("between a block's last name and its end stand zeros") {
    WrittenTree tree;
    for (const std::string& name : names_of(40, 255))
        tree.file(name, "");
    tree.finish();
    const test::ErofsInode root = tree.inode("");
    const std::string all = tree.image().content(root);
    for (std::size_t block = 0; block + 4096 <= all.size(); block += 4096) {
        const std::size_t used = block == 0 ? 27 + 15 * 267 : 15 * 267;
        CHECK(all.substr(block + used, 4096 - used) == std::string(4096 - used, '\0'));
    }
}

TEST_CASE("a folder of ten thousand names is found through, name by name") {
    WrittenTree tree;
    tree.folder("many");
    for (unsigned i = 0; i < 10000; ++i)
        tree.add(test::entry_of("many/" + std::to_string(i * 7919u % 1000003u), FileType::fifo));
    tree.finish();
    const std::vector<std::string> found = tree.names("many");
    CHECK(found.size() == 10002);
    CHECK(std::is_sorted(found.begin(), found.end()));
    CHECK(std::adjacent_find(found.begin(), found.end()) == found.end());
    CHECK(tree.inode("many").links == 2);
}

TEST_CASE("a deep tree is reached to its end") {
    WrittenTree tree;
    std::string path;
    for (unsigned i = 0; i < 200; ++i) {
        path += (path.empty() ? "d" : "/d") + std::to_string(i);
        tree.folder(path);
    }
    tree.file(path + "/leaf", "found").finish();
    CHECK(tree.content(path + "/leaf") == "found");
}

TEST_CASE("names are bytes: blanks, line feeds and what is no UTF-8") {
    WrittenTree tree;
    const std::vector<std::string> names = {" ", "a b", "line\nfeed", "\x80\xff", std::string(255, '\xfe')};
    for (const std::string& name : names)
        tree.file(name, "in " + name);
    tree.finish();
    for (const std::string& name : names)
        CHECK(tree.content(name) == "in " + name);
}
