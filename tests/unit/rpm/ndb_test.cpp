// rpm's own database, of SUSE since SLE 15, and how one kind of file is told from another.
#include "tests/unit/rpm/rpm_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::NdbFile;

TEST_CASE("packages come in the order of their slots, whatever their numbers and places") {
    NdbFile file;
    file.package(5, 9, "in slot 5").package(0, 7, "in slot 0").package(253, 1, "in the last slot");
    CHECK(test::headers_in(file.bytes()) == std::vector<std::string>{"in slot 0", "in slot 5", "in the last slot"});
    CHECK(test::headers_in(NdbFile().bytes()).empty());
}

TEST_CASE("slots go on in further pages, which have no head") {
    NdbFile file(3);
    // 254 slots in the first page, 256 in each of the others.
    file.package(253, 1, "last of the first").package(254, 2, "first of the second");
    file.package(254 + 256, 3, "first of the third").package(254 + 511, 4, "last of all");
    CHECK(test::headers_in(file.bytes()) ==
          std::vector<std::string>{"last of the first", "first of the second", "first of the third", "last of all"});
}

TEST_CASE("packages of every length come back, with padding and without") {
    NdbFile file;
    std::vector<std::string> expected;
    for (std::uint32_t i = 0; i < 40; ++i) {
        expected.push_back(std::string(i, static_cast<char>('a' + i % 26)));
        file.package(i, i + 1, expected.back());
    }
    CHECK(test::headers_in(file.bytes()) == expected);
}

TEST_CASE("a package's bytes end before the tail of its room") {
    // 16 bytes of head, 12 of tail: of two units 4 bytes are left.
    NdbFile file;
    file.package(0, 1, "four");
    CHECK(test::headers_in(file.bytes()) == std::vector<std::string>{"four"});
    constexpr const char* kDamaged = "a package in the RPM database is damaged";
    for (const std::uint32_t length : {5u, 16u, 32u, 0x7fffffffu, 0xffffffffu}) {
        CAPTURE(length);
        std::string bytes = file.bytes();
        test::put_number(bytes, 4096 + 12, length, 4);
        CHECK(test::refusal_of_database(bytes) == kDamaged);
    }
    // A room that has none for head and tail.
    for (const std::uint64_t units : {std::uint64_t{0}, std::uint64_t{1}}) {
        CAPTURE(units);
        NdbFile small;
        small.package(0, 1, "").slot_of(0, 1, 256, units);
        CHECK(test::refusal_of_database(small.bytes()) == kDamaged);
    }
}

TEST_CASE("a blob is of the package that its slot says") {
    constexpr const char* kDamaged = "a package in the RPM database is damaged";
    NdbFile file;
    file.package(0, 7, "content");
    std::string other = file.bytes();
    test::put_number(other, 4096 + 4, 8, 4);
    CHECK(test::refusal_of_database(other) == kDamaged);
    std::string no_magic = file.bytes();
    no_magic[4096] = 'b';
    CHECK(test::refusal_of_database(no_magic) == kDamaged);
    std::string moved = file.bytes();
    test::put_number(moved, 32 + 8, 255, 4);
    CHECK(test::refusal_of_database(moved) == kDamaged);
    std::string beyond = file.bytes();
    test::put_number(beyond, 32 + 8, 0xffffffff, 4);
    CHECK(test::refusal_of_database(beyond) == "the RPM database names bytes beyond its end");
}

TEST_CASE("a slot without a package's number is free, whatever else stands in it") {
    NdbFile file;
    file.package(0, 1, "kept").slot_of(1, 0, 0xffffffff, 0xffffffff);
    CHECK(test::headers_in(file.bytes()) == std::vector<std::string>{"kept"});
}

TEST_CASE("every slot has its mark") {
    for (const std::size_t slot : {std::size_t{0}, std::size_t{100}, std::size_t{253}}) {
        CAPTURE(slot);
        std::string bytes = NdbFile().bytes();
        bytes[32 + slot * 16] = 's';
        CHECK(test::refusal_of_database(bytes) == "the RPM database's table is damaged");
    }
}

TEST_CASE("a later version, and a table that the file has not, are refused") {
    std::string later = NdbFile().bytes();
    test::put_number(later, 4, 1, 4);
    CHECK(test::refusal_of_database(later, ErrorKind::unsupported) ==
          "the RPM database (ndb) is of a later version than is known here");
    for (const std::uint32_t pages : {0u, 2u, 0xffffffffu}) {
        CAPTURE(pages);
        std::string bytes = NdbFile().bytes();
        test::put_number(bytes, 12, pages, 4);
        CHECK(test::refusal_of_database(bytes) == "the RPM database has more pages than its file");
    }
    CHECK(test::refusal_of_database(NdbFile().bytes().substr(0, 4095)) ==
          "the RPM database has more pages than its file");
}

TEST_CASE("slots that name one blob again and again are refused before they are read") {
    NdbFile file;
    file.package(0, 1, std::string(3000, 'x'));
    const std::string once = file.bytes();
    CHECK(test::headers_in(once).size() == 1);
    for (std::uint32_t slot = 1; slot < 100; ++slot)
        file.slot_of(slot, 1, 256, 190);
    CHECK(test::refusal_of_database(file.bytes()) == "the RPM database's packages overlap");
}

TEST_CASE("the rooms of all packages may be as large as the file together, and no larger") {
    NdbFile file;
    file.package(0, 1, std::string(100, 'x'));
    const std::uint64_t units = file.bytes().size() / 16;
    std::string exact = file.bytes();
    test::put_number(exact, 32 + 12, units, 4);
    CHECK(test::headers_in(exact).size() == 1);
    test::put_number(exact, 32 + 12, units + 1, 4);
    CHECK(test::refusal_of_database(exact) == "the RPM database's packages overlap");
}

TEST_CASE("a database with any byte of its tables and heads changed is read or refused") {
    NdbFile file;
    file.package(0, 1, "first package").package(1, 2, "second package");
    const std::string whole = file.bytes();
    for (std::size_t at = 0; at < whole.size(); at += at == 96 ? 4000 : 1) // the slots behind are alike
        for (const int flip : {0x01, 0xff}) {
            std::string changed = whole;
            changed[at] = static_cast<char>(changed[at] ^ flip);
            try {
                for (const std::string& header : test::headers_in(changed))
                    if (header.size() > whole.size())
                        FAIL("more than the file has, by the byte " << at);
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported)
                    FAIL(at << ": " << error.what());
            }
        }
}

TEST_CASE("a database is told by how it begins") {
    constexpr const char* kNone = "the RPM database is neither sqlite, ndb nor a hash of Berkeley DB";
    CHECK(test::refusal_of_database("") == "the RPM database is empty");
    CHECK(test::refusal_of_database(std::string(31, '\0')) == "the RPM database is empty");
    CHECK(test::refusal_of_database(std::string(32, '\0'), ErrorKind::unsupported) == kNone);
    CHECK(test::refusal_of_database(std::string(4096, 'R'), ErrorKind::unsupported) == kNone);
    // A B-tree of Berkeley DB, as rpm's indices are.
    std::string tree(4096, '\0');
    test::put_number(tree, 12, 0x053162, 4);
    CHECK(test::refusal_of_database(tree, ErrorKind::unsupported) == kNone);
    // Almost SQLite.
    CHECK(test::refusal_of_database("SQLite format 4" + std::string(4096, '\0'), ErrorKind::unsupported) == kNone);
    CHECK(test::refusal_of_database(std::string("SQLite format 3\0", 16) + std::string(4096, '\0'))
              .starts_with("the RPM database (SQLite) is damaged: "));
}

TEST_CASE("a database has four gibibytes at the most, and all that its size says") {
    const test::MemorySource source(std::string(64, '\0'));
    const auto refusal = [&](std::uint64_t size, ErrorKind kind) -> std::string {
        try {
            for_each_rpm_header({&source, size}, [](std::span<const std::byte>) {});
        } catch (const Error& error) {
            return error.kind() == kind ? error.what() : std::string("another kind: ") + error.what();
        }
        return {};
    };
    constexpr std::uint64_t kLimit = 4ull << 30;
    CHECK(refusal(kLimit + 1, ErrorKind::limit) == "the RPM database is larger than any real one");
    CHECK(refusal(kLimit, ErrorKind::unsupported).starts_with("the RPM database is neither"));
    std::string ndb = NdbFile().bytes();
    const test::MemorySource cut(ndb.substr(0, 100));
    CHECK_THROWS_WITH(for_each_rpm_header({&cut, ndb.size()}, [](std::span<const std::byte>) {}),
                      "the RPM database ends before its size");
}

TEST_CASE("what visits the headers ends the walk by what it throws") {
    NdbFile file;
    file.package(0, 1, "one").package(1, 2, "two");
    const test::MemorySource source(file.bytes());
    unsigned visited = 0;
    const auto stop = [&](std::span<const std::byte>) {
        ++visited;
        fail(ErrorKind::cancelled, "enough");
    };
    CHECK_THROWS_WITH(for_each_rpm_header({&source, file.bytes().size()}, stop), "enough");
    CHECK(visited == 1);
}
