// rpm's Packages before 2020: a hash of Berkeley DB, of RHEL 4 to 8, Fedora to 32 and SLES to 12.
#include "tests/unit/rpm/rpm_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::BerkeleyFile;

namespace {

constexpr const char* kDamaged = "the RPM database (Berkeley DB) is damaged";

std::string bytes_of(std::size_t length, unsigned seed) {
    std::string bytes(length, '\0');
    for (std::size_t i = 0; i < length; ++i)
        bytes[i] = static_cast<char>((i * 131 + seed * 17) >> 3);
    return bytes;
}

// One package in the page of items, one in a chain of pages behind it.
BerkeleyFile small_and_chained(std::uint32_t page_size, bool big_endian, std::size_t length) {
    BerkeleyFile file(page_size, big_endian);
    file.page({file.key(1), {1, bytes_of(100, 1)}, file.key(2), file.chained(2, length)});
    file.chain(bytes_of(length, 2));
    return file;
}

} // namespace

TEST_CASE("packages in pages and in chains come back, in pages of every size and numbers of both orders") {
    for (const std::uint32_t page_size : {512u, 1024u, 4096u, 8192u, 65536u})
        for (const bool big_endian : {false, true})
            for (const std::size_t length : {std::size_t{1}, std::size_t{page_size - 26}, std::size_t{page_size - 25},
                                             std::size_t{page_size} * 3}) {
                CAPTURE(page_size, big_endian, length);
                if (page_size == 65536 && length > page_size)
                    continue;
                CHECK(test::headers_in(small_and_chained(page_size, big_endian, length).bytes()) ==
                      std::vector<std::string>{bytes_of(100, 1), bytes_of(length, 2)});
            }
}

TEST_CASE("the record that counts packages is none") {
    for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{4}}) {
        CAPTURE(length);
        BerkeleyFile file(4096);
        file.page({file.key(0), {1, std::string(length, '\7')}, file.key(1), {1, "five!"}});
        CHECK(test::headers_in(file.bytes()) == std::vector<std::string>{"five!"});
    }
}

TEST_CASE("buckets that are sorted and that are not hold packages, other pages hold none") {
    BerkeleyFile file(512);
    file.other_page(0).other_page(5).other_page(3).other_page(9).other_page(8).other_page(14);
    file.page({file.key(1), {1, "sorted"}}, 13).other_page(7).page({file.key(2), {1, "unsorted"}}, 2);
    file.page({}, 13);
    CHECK(test::headers_in(file.bytes()) == std::vector<std::string>{"sorted", "unsorted"});
}

TEST_CASE("items of other types are passed over, and so is a key without data") {
    BerkeleyFile file(512);
    // Duplicates, and duplicates in pages of their own: rpm has none in Packages.
    file.page(
        {file.key(1), {2, "duplicates"}, file.key(2), {4, "elsewhere"}, file.key(3), {1, "package"}, file.key(4)});
    CHECK(test::headers_in(file.bytes()) == std::vector<std::string>{"package"});
}

TEST_CASE("a key's bytes are no package, however long they are") {
    BerkeleyFile file(512);
    file.page({{1, "a key that is long"}, {1, "the data of it"}});
    CHECK(test::headers_in(file.bytes()) == std::vector<std::string>{"the data of it"});
}

TEST_CASE("pages have a power of two, from 512 to 65536 bytes") {
    for (const std::uint32_t size : {0u, 1u, 256u, 511u, 513u, 1536u, 4095u, 65535u, 65537u, 131072u, 0x80000000u}) {
        CAPTURE(size);
        std::string bytes = BerkeleyFile(4096).bytes();
        test::put_number(bytes, 20, size, 4);
        CHECK(test::refusal_of_database(bytes) == kDamaged);
    }
}

TEST_CASE("an encrypted database is told apart from a damaged one") {
    std::string bytes = BerkeleyFile(512).bytes();
    bytes[24] = 1;
    CHECK(test::refusal_of_database(bytes, ErrorKind::unsupported) == "the RPM database is encrypted");
}

TEST_CASE("a file that ends inside a page is read to the last whole one") {
    BerkeleyFile file(512);
    file.page({file.key(1), {1, "first"}}).page({file.key(2), {1, "second"}});
    CHECK(test::headers_in(file.bytes().substr(0, 3 * 512 - 1)) == std::vector<std::string>{"first"});
    CHECK(test::headers_in(file.bytes() + "tail") == std::vector<std::string>{"first", "second"});
    CHECK(test::headers_in(file.bytes().substr(0, 512)).empty());
}

TEST_CASE("items that lie outside of their page, or backwards, are refused") {
    struct Row {
        const char* what;
        std::size_t field; // in the page
        unsigned value;
    };
    // One key and its data: inp[0] = 507, inp[1] = 499.
    for (const Row& row : {Row{"data at the key", 28, 507},
                           {"data behind the key", 28, 508},
                           {"a key beyond the page", 26, 513},
                           {"a key far beyond", 26, 0xffff},
                           {"more items than a page has room for", 20, 0xffff}}) {
        CAPTURE(row.what);
        BerkeleyFile file(512);
        file.page({file.key(1), {1, "package"}});
        std::string bytes = file.bytes();
        test::put_number(bytes, 512 + row.field, row.value, 2);
        CHECK(test::refusal_of_database(bytes) == kDamaged);
    }
    // A key may end where the page does.
    BerkeleyFile file(512);
    file.page({{1, ""}, {1, "package"}});
    CHECK(test::headers_in(file.bytes()) == std::vector<std::string>{"package"});
}

TEST_CASE("chains that are broken are refused") {
    // Page 1 has the item, pages 2 and 3 the chain of 700 bytes: 486 and 214.
    const std::string whole = small_and_chained(512, false, 700).bytes();
    REQUIRE(whole.size() == 4 * 512);
    struct Row {
        const char* what;
        std::size_t at;
        unsigned value;
        unsigned size;
    };
    for (const Row& row : {Row{"a page of another type", 2 * 512 + 25, 13, 1},
                           {"nothing in a page", 2 * 512 + 22, 0, 2},
                           {"more in a page than there is room", 2 * 512 + 22, 487, 2},
                           {"it ends too early", 2 * 512 + 16, 0, 4},
                           {"it leads to itself", 2 * 512 + 16, 2, 4},
                           {"it leads to the items", 2 * 512 + 16, 1, 4},
                           {"the second page has nothing", 3 * 512 + 22, 0, 2},
                           {"too little in the last page", 3 * 512 + 22, 213, 2}}) {
        CAPTURE(row.what);
        std::string bytes = whole;
        test::put_number(bytes, row.at, row.value, row.size);
        const bool circles = std::string(row.what) == "it leads to itself";
        if (circles) // two rounds are enough for 700 bytes; for as many as the file has they are not
            test::put_number(bytes, 512 + 512 - 5 - 101 - 5 - 12 + 8, 2048, 4);
        CHECK(test::refusal_of_database(bytes) == kDamaged);
    }
    std::string beyond = whole;
    test::put_number(beyond, 2 * 512 + 16, 4, 4);
    CHECK(test::refusal_of_database(beyond) == "the RPM database names bytes beyond its end");
    // A length that the file has not.
    BerkeleyFile file(512);
    file.page({file.key(1), file.chained(2, 3 * 512 + 1)}).chain("x");
    CHECK(test::refusal_of_database(file.bytes()) == kDamaged);
}

TEST_CASE("chains that share their pages are refused before the file is read over and over") {
    BerkeleyFile file(512);
    std::vector<BerkeleyFile::Item> items;
    for (std::uint32_t i = 1; i <= 8; ++i) {
        items.push_back(file.key(i));
        items.push_back(file.chained(2, 700));
    }
    file.page(items).chain(bytes_of(700, 1));
    CHECK(test::refusal_of_database(file.bytes()) == kDamaged);
}

TEST_CASE("a database that is cut anywhere is read in part or refused") {
    const std::string whole = small_and_chained(512, false, 700).bytes();
    for (std::size_t length = 0; length < whole.size(); length += 3)
        try {
            const std::vector<std::string> headers = test::headers_in(whole.substr(0, length));
            CHECK(headers.size() <= 1);
            if (headers.size() == 1)
                FAIL("the chain is not whole, and is not missed: cut at " << length);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt)
                FAIL(length << ": " << error.what());
        }
}

TEST_CASE("a database with any byte changed is read or refused, and soon") {
    const std::string whole = small_and_chained(512, false, 700).bytes();
    unsigned refused = 0;
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ 0xff);
        try {
            for (const std::string& header : test::headers_in(changed))
                if (header.size() > whole.size())
                    FAIL("more than the file has, by the byte " << at);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::unsupported)
                FAIL(at << ": " << error.what());
            ++refused;
        }
    }
    CHECK(refused > 20);
}
