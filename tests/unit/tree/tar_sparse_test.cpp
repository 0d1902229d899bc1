#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/tree/tar_reader.hpp"
#include "tests/support/memory_source.hpp"
#include "tests/unit/tree/tar_members.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

using namespace vm2oci;

namespace {

std::string filled(std::string content) {
    content.append(tar_padding(content.size()), '\0');
    return content;
}

// A header with the checksum that fits.
std::string header(const std::string& name, char type, std::uint64_t size) {
    Entry entry;
    entry.path = name;
    entry.status.size = size;
    std::string block = tar_header(entry);
    block[156] = type;
    return block;
}

std::string with_checksum(std::string block) {
    block.replace(148, 8, 8, ' ');
    unsigned sum = 0;
    for (const char c : block)
        sum += static_cast<unsigned char>(c);
    block.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    return block;
}

std::string record(const std::string& key, const std::string& value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (fmt::format("{}", length).size() + rest != length)
        ++length;
    return fmt::format("{} {}={}\n", length, key, value);
}

std::string pax(const std::string& records) {
    return with_checksum(header("pax", 'x', records.size())) + filled(records);
}

// "AAAA", a hole of 1 MiB less four, "BBBB" and a hole to 3 MiB.
constexpr std::uint64_t kSecond = 1 << 20;
constexpr std::uint64_t kWhole = 3 << 20;
const std::vector<TarExtent> kExtents = {{0, 4}, {kSecond, 4}};

std::string version_0_0() {
    return pax(record("GNU.sparse.size", "3145728") + record("GNU.sparse.numblocks", "2") +
               record("GNU.sparse.offset", "0") + record("GNU.sparse.numbytes", "4") +
               record("GNU.sparse.offset", "1048576") + record("GNU.sparse.numbytes", "4")) +
           with_checksum(header("disk/d.img", '0', 8)) + filled("AAAABBBB");
}
std::string version_0_1(const std::string& map = "0,4,1048576,4", const std::string& count = "2",
                        const std::string& stored = "AAAABBBB") {
    return pax(record("GNU.sparse.size", "3145728") + record("GNU.sparse.numblocks", count) +
               record("GNU.sparse.map", map) + record("GNU.sparse.name", "disk/d.img")) +
           with_checksum(header("disk/GNUSparseFile.7/d.img", '0', stored.size())) + filled(stored);
}
std::string version_1_0(const std::string& map = "2\n0\n4\n1048576\n4\n") {
    const std::string content = filled(map) + "AAAABBBB";
    return pax(record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") +
               record("GNU.sparse.name", "disk/d.img") + record("GNU.sparse.realsize", "3145728")) +
           with_checksum(header("disk/GNUSparseFile.7/d.img", '0', content.size())) + filled(content);
}

void put_octal(std::string& block, std::size_t at, std::uint64_t value) {
    block.replace(at, 12, fmt::format("{:011o}", value) + std::string(1, '\0'));
}
// GNU's own form; `extents` beyond four stand in blocks of their own.
std::string gnu(const std::vector<TarExtent>& extents, std::uint64_t size, const std::string& stored) {
    std::string block = header("disk/d.img", 'S', stored.size());
    block.replace(257, 8, std::string("ustar  \0", 8));
    block.replace(345, 167, 167, '\0');
    std::size_t next = 0;
    for (; next < std::min<std::size_t>(extents.size(), 4); ++next) {
        put_octal(block, 386 + next * 24, extents[next].offset);
        put_octal(block, 398 + next * 24, extents[next].length);
    }
    put_octal(block, 483, size);
    block[482] = next < extents.size() ? '\1' : '\0';
    std::string all = with_checksum(block);
    while (next < extents.size()) {
        std::string more(512, '\0');
        for (std::size_t i = 0; i < 21 && next < extents.size(); ++i, ++next) {
            put_octal(more, i * 24, extents[next].offset);
            put_octal(more, i * 24 + 12, extents[next].length);
        }
        more[504] = next < extents.size() ? '\1' : '\0';
        all += more;
    }
    return all + filled(stored);
}

std::string tail() {
    return with_checksum(header("next", '0', 3)) + filled("abc");
}

} // namespace

TEST_CASE("sparse members of every form are read alike") {
    const std::string archive =
        GENERATE(version_0_0(), version_0_1(), version_1_0(), gnu(kExtents, kWhole, "AAAABBBB")) + tail();
    const std::vector<TarMember> found = test::tar_members(archive);
    REQUIRE(found.size() == 2);
    CHECK(found[0].path == "disk/d.img");
    CHECK(found[0].type == TarType::regular);
    CHECK(found[0].content_size == kWhole);
    REQUIRE(found[0].extents);
    CHECK(*found[0].extents == kExtents);
    CHECK(archive.substr(found[0].content_offset, 8) == "AAAABBBB");
    CHECK(found[1].path == "next");
    CHECK_FALSE(found[1].extents);
}

TEST_CASE("GNU's map goes on in blocks of its own") {
    const std::size_t count = GENERATE(4U, 5U, 25U, 26U, 200U);
    std::vector<TarExtent> extents;
    std::string stored;
    for (std::size_t i = 0; i < count; ++i) {
        extents.push_back({i * 4096, 512});
        stored += std::string(512, static_cast<char>('a' + i % 26));
    }
    extents.push_back({count * 4096, 0}); // how GNU tar says where a hole at the end ends
    const std::string archive = gnu(extents, count * 4096, stored) + tail();
    const std::vector<TarMember> found = test::tar_members(archive);
    REQUIRE(found.size() == 2);
    CHECK(*found[0].extents == extents);
    CHECK(archive.substr(found[0].content_offset, 3) == "aaa");
}

TEST_CASE("a map that does not fit what is stored is refused") {
    CHECK(test::tar_refusal(version_0_1("0,4,2,4")) == ErrorKind::corrupt);            // overlap
    CHECK(test::tar_refusal(version_0_1("1048576,4,0,4")) == ErrorKind::corrupt);      // out of order
    CHECK(test::tar_refusal(version_0_1("0,4,3145726,4")) == ErrorKind::corrupt);      // beyond the end
    CHECK(test::tar_refusal(version_0_1("0,4,1048576,4", "3")) == ErrorKind::corrupt); // another count
    CHECK(test::tar_refusal(version_0_1("0,4,1048576,5")) == ErrorKind::corrupt);      // more than is stored
    CHECK(test::tar_refusal(version_0_1("0,4", "1")) == ErrorKind::corrupt);           // less
    CHECK(test::tar_refusal(version_0_1("0,4,1048576")) == ErrorKind::corrupt);        // half a piece
    CHECK(test::tar_refusal(version_0_1("0,18446744073709551615", "1")) == ErrorKind::corrupt);
    CHECK(test::tar_refusal(version_1_0("9999999999999999999999\n")) == ErrorKind::corrupt);
    CHECK(test::tar_refusal(version_1_0("4\n0\n4\n")) == ErrorKind::corrupt); // runs into the content
    CHECK(test::tar_refusal(version_1_0("x\n")) == ErrorKind::corrupt);
    CHECK(test::tar_refusal(gnu({{4, 4}, {0, 4}}, kWhole, "AAAABBBB")) == ErrorKind::corrupt);
    CHECK(test::tar_refusal(gnu(kExtents, 5, "AAAABBBB")) == ErrorKind::corrupt);
    std::string cut = gnu(std::vector<TarExtent>(6), kWhole, "");
    cut.resize(512);
    CHECK(test::tar_refusal(cut) == ErrorKind::corrupt);
}

TEST_CASE("forms of sparse members that do not exist are refused, not taken for whole files") {
    const auto with = [](const std::string& records) {
        return pax(records) + with_checksum(header("disk/d.img", '0', 8)) + filled("AAAABBBB");
    };
    CHECK(test::tar_refusal(with(record("GNU.sparse.major", "2") + record("GNU.sparse.minor", "0"))) ==
          ErrorKind::unsupported);
    CHECK(test::tar_refusal(with(record("GNU.sparse.name", "other"))) == ErrorKind::unsupported);
    CHECK(test::tar_refusal(with(record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0"))) ==
          ErrorKind::corrupt);
    CHECK(test::tar_refusal(pax(record("GNU.sparse.numbytes", "1") + record("GNU.sparse.offset", "1"))) ==
          ErrorKind::corrupt);
}
