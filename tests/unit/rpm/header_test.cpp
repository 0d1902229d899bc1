// One package's header, as rpm writes it and as somebody may have changed it.
#include "tests/unit/rpm/rpm_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::RpmHeaderText;

namespace {

RpmPackage parse(const std::string& bytes, RpmFiles files = RpmFiles::read) {
    return parse_rpm_header(std::as_bytes(std::span(bytes)), files);
}

std::string refusal(const std::string& bytes, ErrorKind kind = ErrorKind::corrupt, RpmFiles files = RpmFiles::read) {
    try {
        parse(bytes, files);
    } catch (const Error& error) {
        return error.kind() == kind ? error.what() : std::string("another kind: ") + error.what();
    }
    return {};
}

constexpr const char* kDamaged = "the header of an RPM package is damaged";

RpmHeaderText bash() {
    RpmHeaderText header;
    header.entry(63, 7, 0, 16); // the region that signatures cover
    header.text(100, "C", 8);
    header.text(1000, "bash").text(1001, "5.1.8").text(1002, "9.el9");
    header.numbers(1003, {3});
    header.text(1004, "The GNU Bourne Again shell", 9).text(1011, "Rocky Enterprise Software Foundation");
    header.text(1014, "GPLv3+").text(1022, "x86_64");
    header.numbers(1037, {1, 0, 2, 17});
    header.text(1044, "bash-5.1.8-9.el9.src.rpm");
    header.numbers(1116, {0, 1, 2, 0}).texts(1117, {"skel.rc", "bash", "README", "profile"});
    header.texts(1118, {"/etc/", "/usr/bin/", "/usr/share/doc/bash/"});
    return header;
}

} // namespace

TEST_CASE("what is told of a package stands under its tag") {
    const RpmPackage package = parse(bash().bytes());
    CHECK(package.name == "bash");
    CHECK(package.epoch == 3u);
    CHECK(package.version == "5.1.8");
    CHECK(package.release == "9.el9");
    CHECK(package.architecture == "x86_64");
    CHECK(package.license == "GPLv3+");
    CHECK(package.vendor == "Rocky Enterprise Software Foundation");
    CHECK(package.source == "bash-5.1.8-9.el9.src.rpm");
    CHECK(package.full_version() == "3:5.1.8-9.el9");
}

TEST_CASE("files are the folder with their number and their own name; the flag 1 is configuration") {
    const RpmPackage package = parse(bash().bytes());
    REQUIRE(package.files.size() == 4);
    struct Row {
        const char* path;
        bool is_configuration;
    };
    const Row rows[] = {{"/etc/skel.rc", true},
                        {"/usr/bin/bash", false},
                        {"/usr/share/doc/bash/README", false}, // documentation
                        {"/etc/profile", true}};               // configuration, and not to be replaced
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(package.files[i].path == rows[i].path);
        CHECK(package.files[i].is_configuration == rows[i].is_configuration);
    }
    CHECK(parse(bash().bytes(), RpmFiles::skip).files.empty());
    CHECK(parse(bash().bytes(), RpmFiles::skip).name == "bash");
}

TEST_CASE("a version is written as rpm -q does") {
    struct Row {
        std::optional<std::uint32_t> epoch;
        const char* version;
        const char* release;
        const char* whole;
    };
    const Row rows[] = {{std::nullopt, "5.1.8", "9.el9", "5.1.8-9.el9"},
                        {0, "1", "2", "0:1-2"},
                        {1, "4.4.2.3", "22.el9", "1:4.4.2.3-22.el9"},
                        {4294967295u, "1~rc1", "1", "4294967295:1~rc1-1"},
                        {std::nullopt, "1", "", "1"},
                        {2, "1", "", "2:1"}};
    for (const Row& row : rows) {
        RpmHeaderText header;
        header.text(1000, "a").text(1001, row.version).text(1002, row.release);
        if (row.epoch)
            header.numbers(1003, {*row.epoch});
        const RpmPackage package = parse(header.bytes());
        CHECK(package.epoch == row.epoch);
        CHECK(package.full_version() == row.whole);
    }
}

TEST_CASE("a package has a name, and everything else may be absent") {
    CHECK(refusal(RpmHeaderText().bytes()) == kDamaged);
    CHECK(refusal(RpmHeaderText().text(1001, "1").bytes()) == kDamaged);
    CHECK(refusal(RpmHeaderText().text(1000, "").bytes()) == kDamaged);
    const RpmPackage package = parse(RpmHeaderText().text(1000, "filesystem").bytes());
    CHECK(package.name == "filesystem");
    CHECK(package.full_version().empty());
    CHECK_FALSE(package.epoch.has_value());
    CHECK(package.files.empty());
}

TEST_CASE("a tag of another type than rpm gives it is as if it were not there") {
    for (const std::uint32_t type : {0u, 1u, 2u, 3u, 4u, 5u, 7u, 8u, 10u, 0xffffffffu}) {
        CAPTURE(type);
        CHECK(parse(RpmHeaderText().text(1000, "a").text(1014, "MIT", type).bytes()).license.empty());
        CHECK(refusal(RpmHeaderText().text(1000, "a", type).bytes()) == kDamaged);
    }
    // Both kinds of text are one.
    CHECK(parse(RpmHeaderText().text(1000, "a").text(1014, "MIT", 9).bytes()).license == "MIT");
    for (const std::uint32_t type : {3u, 5u, 6u, 7u}) {
        CAPTURE(type);
        RpmHeaderText header;
        header.text(1000, "a").entry(1003, type, 0, 1);
        CHECK_FALSE(parse(header.bytes()).epoch.has_value());
    }
    RpmHeaderText none;
    none.text(1000, "a").numbers(1003, {});
    CHECK_FALSE(parse(none.bytes()).epoch.has_value());
}

TEST_CASE("texts end within the store, to the last byte of it") {
    // The store is "a", 0, "bc", 0.
    const auto with = [](std::uint32_t offset) {
        return RpmHeaderText().text(1000, "a").text(1001, "bc").entry(1014, 6, offset, 1).bytes();
    };
    CHECK(parse(with(0)).license == "a");
    CHECK(parse(with(2)).license == "bc");
    CHECK(parse(with(3)).license == "c"); // in the middle of another: rpm shares tails
    CHECK(parse(with(4)).license.empty());
    for (const std::uint32_t beyond : {5u, 6u, 0x7fffffffu, 0xffffffffu}) {
        CAPTURE(beyond);
        CHECK(refusal(with(beyond)) == kDamaged);
    }
    std::string open = RpmHeaderText().text(1000, "a").text(1001, "bc").bytes();
    open.back() = 'd'; // no end
    CHECK(refusal(open) == kDamaged);
}

TEST_CASE("numbers end within the store, to the last of them") {
    const auto with = [](std::uint32_t offset, std::uint32_t count) {
        return RpmHeaderText().text(1000, "abc").numbers(9999, {7, 8}).entry(1003, 4, offset, count).bytes();
    };
    CHECK(parse(with(4, 2)).epoch == 7u);
    CHECK(parse(with(8, 1)).epoch == 8u);
    CHECK_FALSE(parse(with(12, 0)).epoch.has_value());
    for (const auto& [offset, count] :
         {std::pair{4u, 3u}, {8u, 2u}, {9u, 1u}, {12u, 1u}, {13u, 0u}, {0xffffffffu, 1u}}) {
        CAPTURE(offset, count);
        CHECK(refusal(with(offset, count)) == kDamaged);
    }
}

TEST_CASE("lists of files that do not fit each other are refused") {
    const auto with = [](const std::vector<std::uint32_t>& indexes, const std::vector<std::string>& names,
                         const std::vector<std::string>& folders) {
        RpmHeaderText header;
        header.text(1000, "a").numbers(1116, indexes).texts(1117, names).texts(1118, folders);
        return header.bytes();
    };
    CHECK(parse(with({1, 0}, {"x", "y"}, {"/a/", "/b/"})).files.front().path == "/b/x");
    CHECK(refusal(with({0, 2}, {"x", "y"}, {"/a/", "/b/"})) == kDamaged);
    CHECK(refusal(with({0}, {"x", "y"}, {"/a/"})) == kDamaged);
    CHECK(refusal(with({0, 0}, {"x"}, {"/a/"})) == kDamaged);
    CHECK(refusal(with({0}, {"x"}, {})) == kDamaged);
    CHECK(refusal(with({0xffffffff}, {"x"}, {"/a/"})) == kDamaged);
    // Whoever does not ask for files is not kept from the rest.
    CHECK(refusal(with({0}, {"x"}, {}), ErrorKind::corrupt, RpmFiles::skip).empty());
    // Fewer flags than files: the rest has none.
    RpmHeaderText header;
    header.text(1000, "a").numbers(1037, {1}).numbers(1116, {0, 0}).texts(1117, {"x", "y"}).texts(1118, {"/"});
    const RpmPackage package = parse(header.bytes());
    CHECK(package.files.at(0).is_configuration);
    CHECK_FALSE(package.files.at(1).is_configuration);
}

TEST_CASE("a package has two million files at the most") {
    const auto with = [](std::uint32_t tag, std::uint32_t type, std::uint32_t count) {
        return RpmHeaderText().text(1000, "a").entry(tag, type, 0, count).bytes();
    };
    for (const auto& [tag, type] : {std::pair{1117u, 8u}, {1118u, 8u}, {1116u, 4u}, {1037u, 4u}}) {
        CAPTURE(tag);
        CHECK(refusal(with(tag, type, 2'000'001), ErrorKind::limit) ==
              "an RPM package has more files than any real one");
        CHECK(refusal(with(tag, type, 2'000'000)) == kDamaged); // it has not
    }
}

TEST_CASE("a header has as many tags and bytes as rpm takes") {
    const auto head = [](std::uint32_t tags, std::uint32_t size) {
        std::string bytes;
        test::append_number(bytes, tags, 4, true);
        test::append_number(bytes, size, 4, true);
        return bytes;
    };
    constexpr const char* kTooLarge = "the header of an RPM package is larger than rpm allows";
    CHECK(refusal(head(0x10000, 0), ErrorKind::limit) == kTooLarge);
    CHECK(refusal(head(0xffffffff, 0), ErrorKind::limit) == kTooLarge);
    CHECK(refusal(head(0, 256 * 1024 * 1024 + 1), ErrorKind::limit) == kTooLarge);
    CHECK(refusal(head(0, 0xffffffff), ErrorKind::limit) == kTooLarge);
    CHECK(refusal(head(0xffff, 0)) == kDamaged);
    CHECK(refusal(head(0, 256 * 1024 * 1024)) == kDamaged);
}

TEST_CASE("the last entry of a tag counts, and tags that nobody reads are passed over") {
    RpmHeaderText header;
    header.text(1000, "first").text(1000, "second");
    for (std::uint32_t tag = 5000; tag < 5400; ++tag)
        header.entry(tag, 6, 0xfffffff0, 0xffffffff);
    CHECK(parse(header.bytes()).name == "second");
}

TEST_CASE("what lies behind a header is not its own") {
    CHECK(parse(bash().bytes() + "more").name == "bash");
    // The store ends where the head says, though bytes follow.
    std::string bytes = RpmHeaderText().text(1000, "a").text(1001, "b").bytes();
    test::put_number(bytes, 4, 3, 4, true);
    CHECK(refusal(bytes) == kDamaged);
}

TEST_CASE("a header that is cut anywhere is refused") {
    const std::string whole = bash().bytes();
    for (std::size_t length = 0; length < whole.size(); ++length)
        if (refusal(whole.substr(0, length)) != kDamaged)
            FAIL("cut at " << length);
}

TEST_CASE("a header with any byte changed is read or refused, and never more") {
    const std::string whole = bash().bytes();
    unsigned refused = 0;
    for (std::size_t at = 0; at < whole.size(); ++at)
        for (const int flip : {0x01, 0x80, 0xff}) {
            std::string changed = whole;
            changed[at] = static_cast<char>(changed[at] ^ flip);
            try {
                const RpmPackage package = parse(changed);
                for (const RpmFile& file : package.files)
                    if (file.path.size() > whole.size())
                        FAIL("a path from nowhere, by the byte " << at);
            } catch (const Error& error) {
                CHECK((error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::limit));
                ++refused;
            }
        }
    CHECK(refused > 50);
}
