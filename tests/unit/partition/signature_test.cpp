#include "formats/base/endian.hpp"
#include "formats/partition/signature.hpp"
#include "tests/support/corpus.hpp"

#include <catch2/catch.hpp>

#include <tuple>

using namespace vm2oci;

namespace {

template <class T>
void put_le(test::MemoryDevice& device, std::uint64_t offset, T value) {
    std::array<std::byte, sizeof(T)> bytes;
    store_le<T>(bytes.data(), value);
    device.put(offset, bytes);
}

} // namespace

TEST_CASE("signatures are read as blkid reads them") {
    const test::Corpus corpus(VM2OCI_GUEST_CORPUS);
    for (const test::CorpusRow& row : corpus.rows("signature")) {
        INFO(row.file);
        const std::optional<Signature> found = probe_signature(*corpus.open(row.file));
        REQUIRE(found);
        CHECK(found->type + "|" + found->uuid + "|" + found->label + "|" + found->version == row.detail);
    }
}

TEST_CASE("members of an array are recognised wherever their superblock stands") {
    constexpr std::uint64_t kSize = 8 * 1024 * 1024 + 3 * 512;
    const std::pair<std::uint64_t, const char*> places[] = {
        {0, "1.1"}, {4096, "1.2"}, {((kSize / 512 - 16) & ~std::uint64_t{7}) * 512, "1.0"}};
    for (const auto& [offset, version] : places) {
        INFO(version);
        test::MemoryDevice device(kSize);
        put_le<std::uint16_t>(device, 1024 + 56, 0xef53); // the file system inside the array
        put_le<std::uint32_t>(device, offset, 0xa92b4efc);
        put_le<std::uint32_t>(device, offset + 4, 1);
        device.put(offset + 16, "0123456789abcdef").put(offset + 32, "host:0");
        const std::optional<Signature> found = probe_signature(device);
        REQUIRE(found);
        CHECK(found->kind == ContentKind::raid);
        CHECK(found->version == version);
        CHECK(found->uuid == "30313233-3435-3637-3839-616263646566");
        CHECK(found->label == "host:0");
    }
    test::MemoryDevice old(kSize);
    put_le<std::uint32_t>(old, 8 * 1024 * 1024 - 65536, 0xa92b4efc);
    REQUIRE(probe_signature(old));
    CHECK(probe_signature(old)->version == "0.90");
}

TEST_CASE("erofs is recognised") {
    test::MemoryDevice device(1 << 20);
    put_le<std::uint32_t>(device, 1024, 0xe0f5e1e2);
    device.put(1024 + 48, "0123456789abcdef").put(1024 + 64, "name");
    REQUIRE(probe_signature(device));
    CHECK(probe_signature(device)->type == "erofs");
    CHECK(probe_signature(device)->label == "name");
}

TEST_CASE("nothing is recognised in nothing") {
    CHECK_FALSE(probe_signature(test::MemoryDevice(0)));
    CHECK_FALSE(probe_signature(test::MemoryDevice(1)));
    CHECK_FALSE(probe_signature(test::MemoryDevice(1 << 20)));
}

TEST_CASE("what lies over an old swap signature goes before it") {
    constexpr std::uint64_t kSize = 4 * 1024 * 1024 + 512;
    const auto put_swap = [](test::MemoryDevice& device) {
        device.put(4096 - 10, "SWAPSPACE2");
        put_le<std::uint32_t>(device, 1024, 1);
        put_le<std::uint32_t>(device, 1028, 255);
    };
    test::MemoryDevice alone(kSize);
    put_swap(alone);
    CHECK(probe_signature(alone)->type == "swap");
    for (const std::uint64_t at :
         {128 * 1024u, 128 * 1024u + 77 * 1024u, 256 * 1024u + 130 * 1024u, 4096 * 1024u - 512 * 1024u + 140 * 1024u,
          4096 * 1024u - 256 * 1024u + 255 * 1024u}) {
        INFO(at);
        test::MemoryDevice device(kSize);
        put_swap(device);
        put_le<std::uint64_t>(device, at, 0x00bab10c);
        CHECK(probe_signature(device)->type == "zfs_member");
    }
    for (const auto& [at, magic] : {std::pair{8192u + 1372u, 0x00011954u}, std::pair{65536u + 1372u, 0x19540119u},
                                    std::pair{262144u + 1372u, 0x54190100u}}) {
        INFO(at);
        test::MemoryDevice device(kSize);
        put_swap(device);
        put_le<std::uint32_t>(device, at, magic);
        CHECK(probe_signature(device)->type == "ufs");
    }
    const std::tuple<std::uint64_t, std::string_view, std::string_view> others[] = {
        {4096 * 1024 - 4096 + 60, std::string_view("\x83\x74\x02\x6d", 4), "drbd"},
        {8192, std::string_view("\x49\xe8\x95\xf9", 4), "hpfs"},
        {8192 + 52, "ReIsErFs", "reiserfs"},
        {65536, "ReIsEr4", "reiser4"}};
    for (const auto& [at, magic, type] : others) {
        INFO(type);
        test::MemoryDevice device(kSize);
        put_swap(device);
        device.put(at, magic);
        CHECK(probe_signature(device)->type == type);
    }
}

TEST_CASE("a swap area is what its header says, and no header that Linux refuses says anything") {
    const auto area = [](std::uint64_t page, std::uint32_t version, std::uint32_t last, std::uint32_t bad) {
        test::MemoryDevice device(1 << 20);
        device.put(page - 10, "SWAPSPACE2");
        put_le<std::uint32_t>(device, 1024, version);
        put_le<std::uint32_t>(device, 1028, last);
        put_le<std::uint32_t>(device, 1032, bad);
        return read_swap_area(device);
    };
    REQUIRE(area(4096, 1, 99, 0));
    CHECK(area(4096, 1, 99, 0)->offset == 4096);
    CHECK(area(4096, 1, 99, 0)->length == 99 * 4096);
    CHECK(area(65536, 1, 15, 3)->length == 15 * 65536);
    CHECK(area(4096, 1, 255, 637));
    CHECK_FALSE(area(4096, 2, 99, 0));
    CHECK_FALSE(area(4096, 1, 0, 0));
    CHECK_FALSE(area(4096, 1, 256, 0));
    CHECK_FALSE(area(65536, 1, 99, 0));
    CHECK_FALSE(area(4096, 1, 99, 638));
    CHECK_FALSE(read_swap_area(test::MemoryDevice(1 << 20)));
}

// Each is something that writes nothing over the signature; Solaris' label has the partition type of Linux' swap.
TEST_CASE("what stands before a swap header puts the area in doubt") {
    const auto area = [](std::uint64_t at, std::string_view bytes) {
        test::MemoryDevice device(1 << 20);
        device.put(4096 - 10, "SWAPSPACE2");
        put_le<std::uint32_t>(device, 1024, 1);
        put_le<std::uint32_t>(device, 1028, 99);
        device.put(at, bytes);
        return read_swap_area(device);
    };
    using namespace std::string_view_literals;
    CHECK(area(2048, ""));
    CHECK(area(1024 + 12, "0123456789abcdefswap0"));   // its UUID and label
    CHECK_FALSE(area(512 + 12, "\xee\xde\x0d\x60"sv)); // a VTOC
    CHECK_FALSE(area(446, "\x80\0\2\0\x83"sv));        // a table of partitions
    CHECK_FALSE(area(512, "EFI PART"));                //
    CHECK_FALSE(area(512, "\x57\x45\x56\x82"sv));      // a disk label of the BSDs
    CHECK_FALSE(area(508, "\xda\xbe"sv));              // SunOS
    CHECK_FALSE(area(512 + 32, "1SFB"));               // BeFS
    CHECK_FALSE(area(0, "HM\1"));                      // LVM1
    CHECK_FALSE(area(1023, "x"));
}

namespace {

// What is put on a disk that is empty otherwise.
struct Stamp {
    std::uint64_t at;
    std::string_view bytes;
};

std::string type_of(const std::vector<Stamp>& stamps) {
    test::MemoryDevice device(4 * 1024 * 1024);
    for (const Stamp& stamp : stamps)
        device.put(stamp.at, stamp.bytes);
    const auto found = probe_signature(device);
    return found ? found->type : "-";
}

} // namespace

TEST_CASE("systems and volume managers that are not read have their names") {
    using namespace std::string_view_literals;
    const auto bcache = "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"sv;
    const auto bcachefs = "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"sv;
    CHECK(type_of({{4096 + 24, bcache}}) == "bcache");
    CHECK(type_of({{4096 + 24, bcachefs}}) == "bcachefs");
    CHECK(type_of({{0, "dmvdo001"}}) == "vdo");
    CHECK(type_of({{32, "NXSB"}}) == "apfs");
    CHECK(type_of({{1024, "H+\0\4"sv}}) == "hfsplus");
    CHECK(type_of({{1024, "HX\0\5"sv}}) == "hfsplus");
    CHECK(type_of({{1024, "H+\0\0"sv}}) == "-");
    CHECK(type_of({{1024, "BD"}, {1024 + 20, "\0\0\x10\0"sv}, {1024 + 0x7c, "H+"}}) == "hfsplus");
    CHECK(type_of({{1024, "BD"}, {1024 + 20, "\0\0\x10\0"sv}}) == "hfs");
    CHECK(type_of({{1024, "BD"}}) == "-");
    CHECK(type_of({{1024, "OCFSV2"}}) == "ocfs2");
    CHECK(type_of({{8192, "OCFSV2"}}) == "ocfs2");
    CHECK(type_of({{1 << 20, "\x0d\xd0\x01\xc0"sv}}) == "VMFS_volume_member");
    CHECK(type_of({{2 << 20, "\x5e\xf1\xab\x2f"sv}}) == "VMFS");
    CHECK(type_of({{65536, "\x01\x16\x19\x70\0\0\0\1"sv}, {65536 + 24, "\0\0\x07\x09"sv}}) == "gfs2");
    CHECK(type_of({{65536, "\x01\x16\x19\x70\0\0\0\1"sv}, {65536 + 24, "\0\0\x05\x1d"sv}}) == "gfs");
    CHECK(type_of({{1024, "\2\0\0\0\0\0\x34\x34\x98\1"sv}}) == "nilfs2");
    CHECK(type_of({{1024, "\7\0\0\0\0\0\x34\x34\x98\1"sv}}) == "-");
    CHECK(type_of({{32769, "BEA01"}, {32769 + 2048, "NSR03"}, {32769 + 4096, "TEA01"}}) == "udf");
    CHECK(type_of({{32769, "BEA01"}, {32769 + 4096, "NSR02"}}) == "udf"); // blocks of 4 KiB
    CHECK(type_of({{32769, "CD001"}, {32769 + 2048, "BEA01"}, {32769 + 4096, "NSR02"}}) == "udf");
    CHECK(type_of({{32769, "CD001"}}) == "iso9660");
    CHECK(type_of({{512 + 4, "!Stra0tis\x86\xff\x02^\x41rh"}}) == "stratis");
    for (const std::string_view magic : {"S1SUSPEND"sv, "S2SUSPEND"sv, "ULSUSPEND"sv, "LINHIB0001"sv}) {
        CHECK(type_of({{4096 - 10, magic}}) == "swsuspend");
        CHECK(type_of({{65536 - 10, magic}}) == "swsuspend");
    }
    test::MemoryDevice suspended(1 << 20);
    suspended.put(4096 - 10, "S1SUSPEND").put(1024 + 12, "0123456789abcdef");
    CHECK(probe_signature(suspended)->kind == ContentKind::swap);
    CHECK(probe_signature(suspended)->uuid == "30313233-3435-3637-3839-616263646566");
    CHECK_FALSE(read_swap_area(suspended)); // its memory is not to be dropped
}

TEST_CASE("the label of a FAT file system stands in its root folder") {
    using namespace std::string_view_literals;
    const auto format = [](test::MemoryDevice& device, bool fat32) {
        device.put(510, "\x55\xaa").put(11, "\0\2\1\1\0\2"sv).put(21, "\xf8");
        if (fat32) {
            device.put(36, "\2\0\0\0"sv).put(44, "\2\0\0\0"sv).put(66, "\x29").put(71, "BOOT SECTOR");
            device.put(512, "\xf8\xff\xff\x0f\xff\xff\xff\x0f\3\0\0\0\xff\xff\xff\x0f"sv);
            device.put(512 + 8, "\3\0\0\0\xff\xff\xff\x0f"sv); // the folder has two clusters
        } else {
            device.put(17, "\x10\0"sv).put(22, "\2\0"sv).put(38, "\x29").put(43, "BOOT SECTOR");
        }
    };
    constexpr std::uint64_t kRoot = 512 + 2 * 2 * 512;
    for (const bool fat32 : {false, true}) {
        test::MemoryDevice plain(1 << 20);
        format(plain, fat32);
        REQUIRE(probe_signature(plain));
        CHECK(probe_signature(plain)->type == "vfat");
        CHECK(probe_signature(plain)->label == "BOOT SECTOR");
        test::MemoryDevice labelled(1 << 20);
        format(labelled, fat32);
        labelled.put(kRoot, "\xe5ONE       \x08"sv)
            .put(kRoot + 32, "Al\0n\0g\0\0\0\0\x0f"sv)
            .put(kRoot + 64, "EFI        \x10"sv);
        labelled.put(kRoot + 96, "SYSTEM PART\x08"sv);
        CHECK(probe_signature(labelled)->label == "SYSTEM PART");
    }
    test::MemoryDevice second(1 << 20);
    format(second, true);
    for (int i = 0; i < 16; ++i)
        second.put(kRoot + static_cast<std::uint64_t>(i) * 32, "FILE    TXT\x20"sv);
    second.put(kRoot + 512, "SECOND     \x08"sv);
    CHECK(probe_signature(second)->label == "SECOND");
}
