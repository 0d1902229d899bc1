#include "tests/unit/ext4/ext4_fixture.hpp"

using namespace vm2oci;
using namespace std::string_literals;
using test::Ext4Image;
using test::kRelease;
using test::node;

namespace {

constexpr std::uint32_t kMagic = 0xea020000;
constexpr const char* kDamaged = "corrupt: inode 19: the extended attributes of a file are damaged";

struct AttributeRow {
    unsigned index;
    std::string name;
    std::string value;
    std::uint32_t value_inode = 0;
};

// Entries from `at` on, their values backwards from `end`; offsets count from `base`.
void put_attributes(Ext4Image& image, std::uint64_t at, std::uint64_t end, std::uint64_t base,
                    const std::vector<AttributeRow>& rows) {
    for (const AttributeRow& row : rows) {
        if (row.value_inode == 0) {
            end -= (row.value.size() + 3) / 4 * 4;
            image.put(end, row.value);
        }
        image.put_le(at, 1, row.name.size());
        image.put_le(at + 1, 1, row.index);
        image.put_le(at + 2, 2, row.value_inode == 0 && !row.value.empty() ? end - base : 0);
        image.put_le(at + 4, 4, row.value_inode);
        image.put_le(at + 8, 4, row.value.size());
        image.put_le(at + 12, 4, 0);
        image.put(at + 16, row.name);
        at += (16 + row.name.size() + 3) / 4 * 4;
    }
    image.put_le(at, 4, 0);
}

std::uint64_t in_inode(Ext4Image& image, const std::vector<AttributeRow>& rows) {
    const std::uint64_t header = image.inode(kRelease, 128 + 32);
    image.fill(header, 96, 0);
    image.put_le(header, 4, kMagic);
    put_attributes(image, header + 4, header + 96, header + 4, rows);
    return header;
}

std::uint64_t in_block(Ext4Image& image, const std::vector<AttributeRow>& rows, std::uint64_t block = 1700) {
    image.put_le(image.inode(kRelease, test::kAttributeBlockAt), 4, block);
    const std::uint64_t at = block * 1024;
    image.fill(at, 1024, 0);
    image.put_le(at, 4, kMagic);
    image.put_le(at + 4, 4, 1);
    image.put_le(at + 8, 4, 1);
    put_attributes(image, at + 32, at + 1024, at, rows);
    return at;
}

std::vector<ExtendedAttribute> attributes(const Ext4Image& image) {
    return image.open()->attributes(node(kRelease));
}

std::string said(const Ext4Image& image) {
    return test::refusal_of([&] { return attributes(image); });
}

using Attributes = std::vector<ExtendedAttribute>;

} // namespace

TEST_CASE("attributes have the prefixes of their indices, and those that Linux does not list are left out") {
    const std::string acl = "\1\0\0\0\1\0\6\0"s;
    const std::string call = "\2\0\0\0\1\0\6\0\xff\xff\xff\xff"s;
    const struct {
        unsigned index;
        std::string name;
        std::string value;
        Attributes listed;
    } rows[] = {
        {0, "user.x", "v", {}},
        {1, "x", "v", {{"user.x", "v"}}},
        {2, "", acl, {{"system.posix_acl_access", call}}},
        {3, "", acl, {{"system.posix_acl_default", call}}},
        {4, "overlay.opaque", "y", {{"trusted.overlay.opaque", "y"}}},
        {5, "x", "v", {}}, // lustre
        {6, "selinux", "system_u:object_r:etc_t:s0\0"s, {{"security.selinux", "system_u:object_r:etc_t:s0\0"s}}},
        {6, "capability", "\1\0\0\2\0\4\0\0"s, {{"security.capability", "\1\0\0\2\0\4\0\0"s}}},
        {7, "data", "content", {}},
        {7, "dat", "v", {{"system.dat", "v"}}},
        {8, "", "v", {{"system.richacl", "v"}}},
        {9, "c", "v", {}}, // encryption
        {10, "x", "v", {}},
        {255, "x", "v", {}},
    };
    for (const auto& row : rows) {
        CAPTURE(row.index, row.name);
        Ext4Image inside;
        in_inode(inside, {{row.index, row.name, row.value}});
        CHECK(attributes(inside) == row.listed);
        Ext4Image outside;
        in_block(outside, {{row.index, row.name, row.value}});
        CHECK(attributes(outside) == row.listed);
    }
}

TEST_CASE("attributes of the inode and of its block come together, sorted, empty values as well") {
    Ext4Image image;
    in_inode(image, {{6, "selinux", "label"}, {1, "b", ""}});
    in_block(image, {{1, "a", std::string(900, 'v')}, {4, "m", "\0"s}, {1, "c", ""}});
    CHECK(attributes(image) == Attributes{{"security.selinux", "label"},
                                          {"trusted.m", "\0"s},
                                          {"user.a", std::string(900, 'v')},
                                          {"user.b", ""},
                                          {"user.c", ""}});
    in_block(image, {{1, "b", "again"}});
    CHECK(said(image) == kDamaged);
    in_block(image, {{1, "x", "1"}, {1, "x", "1"}});
    CHECK(said(image) == kDamaged);
}

TEST_CASE("an inode without the magic number of attributes has none") {
    Ext4Image image;
    const std::uint64_t header = in_inode(image, {{1, "x", "v"}});
    image.put_le(header, 4, kMagic + 1);
    CHECK(attributes(image).empty());
    image.put_le(header, 4, 0);
    CHECK(attributes(image).empty());
    image.put_le(header, 4, kMagic);
    CHECK(attributes(image).size() == 1);
    image.put_le(image.inode(kRelease, test::kExtraSizeAt), 2, 0); // made before there were any
    CHECK(attributes(image).empty());
}

TEST_CASE("attributes begin where the extra fields of the inode end") {
    for (const std::uint32_t extra : {4u, 28u, 32u, 100u, 120u, 124u, 128u}) {
        CAPTURE(extra);
        Ext4Image image;
        const std::uint64_t header = image.inode(kRelease, 128 + extra);
        image.fill(image.inode(kRelease, 132), 124, 0);
        image.put_le(image.inode(kRelease, test::kExtraSizeAt), 2, extra);
        if (extra <= 100) {
            image.put_le(header, 4, kMagic);
            put_attributes(image, header + 4, image.inode(kRelease, 256), header + 4, {{1, "", "v"}});
            CHECK(attributes(image) == Attributes{{"user.", "v"}});
        } else if (extra == 120) {
            image.put_le(header, 4, kMagic); // and four zeros, which end the list
            CHECK(attributes(image).empty());
            image.put_le(header + 4, 4, 1);
            CHECK(said(image) == kDamaged);
        } else {
            CHECK(attributes(image).empty()); // no room for a header
        }
    }
    for (const std::uint32_t extra : {1u, 2u, 30u, 33u, 127u}) {
        CAPTURE(extra);
        Ext4Image image;
        image.put_le(image.inode(kRelease, test::kExtraSizeAt), 2, extra);
        CHECK_THAT(said(image), Catch::Equals(kDamaged) || Catch::StartsWith("corrupt: reading inode 19"));
    }
}

TEST_CASE("values and names that reach where they may not are refused") {
    const struct {
        const char* what;
        std::uint64_t field; // of the first entry
        std::size_t width;
        std::uint64_t value;
        bool accepted;
    } rows[] = {
        {"a value that ends with the block", 2, 2, 1020, true},
        {"a value behind the block", 2, 2, 1021, false},
        {"a value far behind it", 2, 2, 65535, false},
        {"a larger value", 8, 4, 24, true}, // begins at 1000
        {"a value that is larger than the block", 8, 4, 25, false},
        {"as large as none can be", 8, 4, 65537, false},
        {"with the topmost bit", 8, 4, 0x80000004, false},
    };
    for (const auto& row : rows) {
        CAPTURE(row.what);
        Ext4Image image;
        const std::uint64_t at = in_block(image, {{1, "x", "four"}});
        if (row.field == 8)
            image.put_le(at + 32 + 2, 2, 1000);
        image.put_le(at + 32 + row.field, row.width, row.value);
        CHECK(said(image) == (row.accepted ? "accepted" : kDamaged));
    }
    Ext4Image unknown; // of an index that nobody lists, too
    const std::uint64_t at = in_block(unknown, {{9, "c", "four"}});
    unknown.put_le(at + 32 + 8, 4, 65537);
    CHECK(said(unknown) == kDamaged);
}

TEST_CASE("a list of attributes that is not ended is refused") {
    // 31 entries of 32 bytes fill the block to its end; there is no word of zeros.
    std::vector<AttributeRow> rows;
    for (int i = 0; i < 30; ++i)
        rows.push_back({1, "fourteen-byte-" + std::to_string(10 + i), ""});
    Ext4Image image;
    const std::uint64_t at = in_block(image, rows);
    CHECK(attributes(image).size() == 30);
    image.put_le(at + 32 + 30 * 32, 4, 0x00000110); // sixteen letters of name: it ends with the block
    CHECK(said(image) == kDamaged);
    image.put_le(at + 32 + 30 * 32, 4, 0x0000010c); // four fewer, and a word of zeros behind them
    CHECK(attributes(image).size() == 31);
    image.put_le(at + 1020, 4, 0x00000101); // no room for the head of another one
    CHECK(said(image) == kDamaged);
}

TEST_CASE("a block of attributes is one block, inside of the file system, with its magic number") {
    Ext4Image image;
    const std::uint64_t at = in_block(image, {{1, "x", "v"}});
    CHECK(said(image) == "accepted");
    for (const std::uint64_t count : {0u, 2u, 256u}) {
        CAPTURE(count);
        Ext4Image changed = image;
        changed.put_le(at + 8, 4, count);
        CHECK_THAT(said(changed), Catch::StartsWith("corrupt: inode 19: "));
    }
    Ext4Image magic = image;
    magic.put_le(at, 4, 0xea010000);
    CHECK_THAT(said(magic), Catch::StartsWith("corrupt: inode 19: "));
    Ext4Image last;
    in_block(last, {{1, "x", "v"}}, 2047);
    CHECK(said(last) == "accepted");
    last.put_le(last.inode(kRelease, test::kAttributeBlockAt), 4, 2048);
    CHECK(said(last) == kDamaged);
    last.put_le(last.inode(kRelease, 0x76), 2, 1); // the upper half of its number
    CHECK(said(last) == kDamaged);
}

TEST_CASE("a large value lies in an inode of its own") {
    Ext4Image image;
    image.set_incompatible(0x400);
    const std::string value = std::string(1024, 'a') + std::string(1024, 'b') + "end";
    constexpr std::uint32_t kValue = 30;
    constexpr std::uint32_t kFlagValue = 0x200000;
    image.put_extents(kValue, value.size(), {{0, 1, 1801}, {1, 2, 1803}});
    image.put_le(image.inode(kValue, test::kModeAt), 2, 0x8180);
    image.put_le(image.inode(kValue, test::kLinksAt), 2, 1);
    image.put_le(image.inode(kValue, test::kFlagsAt), 4, test::kFlagExtents | kFlagValue);
    image.put(1801 * 1024, std::string_view(value).substr(0, 1024));
    image.put(1803 * 1024, std::string_view(value).substr(1024));
    in_inode(image, {{1, "large", value, kValue}});
    CHECK(attributes(image) == Attributes{{"user.large", value}});

    Ext4Image other = image;
    other.put_le(other.inode(kValue, test::kFlagsAt), 4, test::kFlagExtents);
    CHECK(said(other) == kDamaged); // an inode that is no value
    other.put_le(other.inode(kValue, test::kFlagsAt), 4, kFlagValue | test::kFlagInline);
    CHECK(said(other) == kDamaged);
    other = image;
    other.put_le(other.inode(kValue, test::kSizeAt), 4, value.size() + 1);
    CHECK(said(other) == kDamaged);
    other = image;
    other.put_le(other.inode(kValue, test::kSizeHighAt), 4, 1);
    CHECK(said(other) == kDamaged);
    for (const std::uint32_t number : {257u, 0xffffffffu}) {
        CAPTURE(number);
        other = image;
        in_inode(other, {{1, "large", value, number}});
        CHECK_THAT(said(other), Catch::StartsWith("corrupt: inode 19: reading the inode of an extended attribute: "));
    }
    other = image;
    in_inode(other, {{1, "large", std::string(65537, 'x'), kValue}});
    CHECK(said(other) == kDamaged);
}

TEST_CASE("no change of a byte of a block of attributes does more than be refused") {
    Ext4Image image;
    const std::uint64_t at = in_block(image, {{6, "selinux", "label"}, {2, "", "\1\0\0\0\1\0\6\0"s}, {1, "n", "v"}});
    const auto device = image.device();
    for (std::uint64_t i = 0; i < 90; ++i)
        for (const std::uint8_t value : std::initializer_list<std::uint8_t>{0x00, 0x01, 0x80, 0xff}) {
            device->fill(at + i, 1, value);
            try {
                for (const ExtendedAttribute& found : Ext4FileSystem(device).attributes(node(kRelease)))
                    CHECK(found.value.size() <= 1024);
            } catch (const Error& error) {
                CHECK(error.kind() == ErrorKind::corrupt);
            }
            device->put(at + i, image.at(at + i, 1));
        }
    CHECK(Ext4FileSystem(device).attributes(node(kRelease)).size() == 3);
}
