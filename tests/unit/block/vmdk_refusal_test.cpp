#include "tests/support/vmdk_writer.hpp"
#include "tests/unit/block/foreign_fixture.hpp"

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

const GrainValues kFew = {{0, 1}, {1, 2}, {600 - 1, 3}};
constexpr std::uint64_t kMax64 = ~std::uint64_t{0};

ImageBytes with_text(const std::string& descriptor) {
    ImageBytes image;
    image.put(0, descriptor);
    return image;
}

} // namespace

TEST_CASE("sparse VMDKs that lie are refused") {
    const std::uint64_t first = sparse_at::grains / 512;
    const Lie lie = GENERATE_COPY(
        Lie{"magic", 0, 1, 'X'}, Lie{"version 0", 4, 4, 0}, Lie{"version 4", 4, 4, 4}, Lie{"unknown flag", 8, 4, 0x17},
        Lie{"compressed without a method", 8, 4, 0x30007}, Lie{"markers alone", 8, 4, 0x20007},
        Lie{"capacity 1", 12, 8, 1}, Lie{"capacity of the descriptor and more", 12, 8, kVmdkSectors + 8},
        Lie{"capacity that overflows", 12, 8, kMax64}, Lie{"grain 0", 20, 8, 0}, Lie{"grain 4", 20, 8, 4},
        Lie{"grain 9", 20, 8, 9}, Lie{"grain 2^30", 20, 8, 1 << 30}, Lie{"grain that overflows", 20, 8, 1ULL << 63},
        Lie{"no descriptor", 28, 8, 0}, Lie{"descriptor behind the end", 28, 8, 1 << 20},
        Lie{"descriptor that overflows", 28, 8, kMax64}, Lie{"huge descriptor", 36, 8, 1 << 20},
        Lie{"descriptor over the directories", 36, 8, 30}, Lie{"no entries", 44, 4, 0},
        Lie{"entries 1024", 44, 4, 1024}, Lie{"redundant directory 0", 48, 8, 0},
        Lie{"redundant directory behind the end", 48, 8, 1 << 20}, Lie{"redundant directory elsewhere", 48, 8, 2},
        Lie{"both directories in one", 48, 8, 30}, Lie{"directory 0", 56, 8, 0},
        Lie{"directory behind the end", 56, 8, 1 << 20}, Lie{"directory that overflows", 56, 8, kMax64 / 2},
        Lie{"directory at the end without a footer", 56, 8, kMax64}, Lie{"overhead behind the end", 64, 8, 1 << 20},
        Lie{"overhead that overflows", 64, 8, kMax64}, Lie{"unclean 2", 72, 1, 2}, Lie{"line ends", 73, 1, '\r'},
        Lie{"compression 1", 77, 2, 1}, Lie{"compression 2", 77, 2, 2},
        Lie{"table over the header", sparse_at::directory, 4, 1},
        Lie{"table behind the end", sparse_at::directory, 4, 1 << 20},
        Lie{"no table, and one in the copy", sparse_at::directory, 4, 0},
        Lie{"two entries with one table", sparse_at::directory + 4, 4, sparse_at::tables / 512},
        Lie{"a table of the other directory", sparse_at::directory, 4, sparse_at::redundant_tables / 512},
        Lie{"tables differ", sparse_at::redundant_tables + 4, 4, first},
        Lie{"tables differ in what is not there", sparse_at::redundant_tables + 400, 4, first + 24});
    INFO(lie.name);
    ImageBytes image = make_sparse_vmdk(kFew);
    REQUIRE_FALSE(refusal_of(image, DiskFormat::vmdk));
    image.put_le(lie.at, lie.width, lie.value);
    CHECK(refusal_of(image, DiskFormat::vmdk));
}

TEST_CASE("grains of a sparse VMDK that lie over something else are refused") {
    const std::uint64_t first = sparse_at::grains / 512;
    const std::uint64_t sector = GENERATE_COPY(
        std::uint64_t{2}, sparse_at::tables / 512, sparse_at::directory / 512, sparse_at::redundant_tables / 512, first,
        first + 1, first + 7, first + 8, first + 15, std::uint64_t{1} << 20, std::uint64_t{0xffffffff});
    ImageBytes image = make_sparse_vmdk(kFew);
    for (const std::uint64_t table : {sparse_at::tables, sparse_at::redundant_tables})
        image.put_le(table + 4 * 77, 4, sector);
    CHECK(refusal_of(image, DiskFormat::vmdk));
}

TEST_CASE("entry 1 is a zeroed grain only where the flag says so") {
    ImageBytes image = make_sparse_vmdk({{0, 1}, {2, kZeroedGrain}});
    CHECK_FALSE(refusal_of(image, DiskFormat::vmdk));
    image.put_le(8, 4, 3);
    CHECK(refusal_of(image, DiskFormat::vmdk));
}

TEST_CASE("streams that lie are refused") {
    const ImageBytes good = make_stream_vmdk(kFew);
    REQUIRE_FALSE(refusal_of(good, DiskFormat::vmdk));
    const std::uint64_t footer = good.size() - 1024; // the copy of the header
    const Lie lie = GENERATE_COPY(
        Lie{"marker of the footer", footer - 512 + 12, 4, 2}, Lie{"size in that marker", footer - 512 + 8, 4, 5},
        Lie{"no footer", footer, 4, 0}, Lie{"last marker", footer + 512 + 12, 4, 1},
        Lie{"capacity in the footer", footer + 12, 8, kVmdkSectors * 2}, Lie{"grain in the footer", footer + 20, 8, 16},
        Lie{"flags in the footer", footer + 8, 4, 0x30003}, Lie{"version of the footer", footer + 4, 4, 1},
        Lie{"directory nowhere", footer + 56, 8, kMax64}, Lie{"directory over the grains", footer + 56, 8, 128},
        Lie{"directory behind the end", footer + 56, 8, 1 << 20}, Lie{"lba of a grain", kStreamGrainsAt, 8, 8},
        Lie{"length 0", kStreamGrainsAt + 8, 4, 0}, Lie{"length of two grains and more", kStreamGrainsAt + 8, 4, 8193},
        Lie{"length over the next grain", kStreamGrainsAt + 8, 4, 600},
        Lie{"length behind the end", kStreamGrainsAt + 8, 4, 0xffffffff}, Lie{"stream cut", kStreamGrainsAt + 8, 4, 9},
        Lie{"stream header", kStreamGrainsAt + 12, 1, 0xff}, Lie{"stream content", kStreamGrainsAt + 16, 2, 0xffff});
    INFO(lie.name);
    ImageBytes image = good;
    image.put_le(lie.at, lie.width, lie.value);
    CHECK(refusal_of(image, DiskFormat::vmdk));
}

TEST_CASE("a stream without its end is refused, wherever it ends") {
    ImageBytes image = make_stream_vmdk(kFew);
    const std::uint64_t cut = GENERATE(std::uint64_t{1}, std::uint64_t{511}, std::uint64_t{512}, std::uint64_t{1024},
                                       std::uint64_t{1536}, std::uint64_t{4096});
    image.bytes.resize(static_cast<std::size_t>(image.size() - cut));
    CHECK(refusal_of(image, DiskFormat::vmdk));
}

TEST_CASE("descriptors that lie are refused") {
    const std::string sparse = "RW 4800 SPARSE \"a.vmdk\"\n";
    const std::string good = vmdk_descriptor("monolithicSparse", sparse);
    const auto replaced = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        text.replace(text.find(from), from.size(), to);
        return text;
    };
    const std::string text = GENERATE_COPY(
        replaced("version=1", "version=4"), replaced("version=1\n", ""), replaced("version=1", "version=1\nversion=1"),
        replaced("CID=1a2b3c4d", "CID=1a2b3c4d5"), replaced("CID=1a2b3c4d", "CID=x"), replaced("CID=1a2b3c4d\n", ""),
        replaced("CID=1a2b3c4d", "CID=1\nCID=2"), replaced("monolithicSparse", "monolithicSprse"),
        replaced("monolithicSparse", "fullDevice"), replaced("monolithicSparse", "vmfsRawDeviceMap"),
        replaced("createType=\"monolithicSparse\"\n", ""), replaced(sparse, ""),
        // Lines that other readers leave out, whose disk is too small then.
        replaced(sparse, sparse + "RDONLY 4800 SPARSE \"b.vmdk\"\n"), replaced(sparse, sparse + "NOACCESS 4800 ZERO\n"),
        replaced(sparse, sparse + "RW 4800 VMFSRDM \"b.vmdk\"\n"),
        replaced(sparse, sparse + "RW 4800 sparse \"b.vmdk\"\n"),
        replaced(sparse, sparse + "rw 4800 SPARSE \"b.vmdk\"\n"),
        replaced(sparse, sparse + "RW 4800 SPARSE \"a.vmdk\"\n"), replaced(sparse, sparse + "RW 8 ZERO\n"),
        replaced("4800", "4792"), replaced("4800", "4808"), replaced("4800", "0"), replaced("4800", "-4800"),
        replaced("4800", "99999999999999999999"), replaced("4800", "18446744073709551615"), replaced("4800", "0x12c0"),
        replaced("\"a.vmdk\"", "a.vmdk"), replaced("\"a.vmdk\"", "\"a.vmdk"), replaced("\"a.vmdk\"", "\"\""),
        replaced("\"a.vmdk\"", "\"a.vmdk\" 0"), replaced("SPARSE \"a.vmdk\"", "FLAT \"a.vmdk\" 0"),
        replaced("SPARSE \"a.vmdk\"", "SPARSE"), replaced("ddb.", "nothing\nddb."),
        replaced("#DDB", "isNativeSnapshot=\"yes\""), replaced("parentCID=ffffffff", "parentCID=12"));
    INFO(text);
    CHECK_FALSE(refusal_of(make_sparse_vmdk(kFew, good), DiskFormat::vmdk));
    CHECK(refusal_of(make_sparse_vmdk(kFew, text), DiskFormat::vmdk));
}

TEST_CASE("descriptors alone that ask for the impossible are refused, and nothing is opened") {
    const std::string text = GENERATE(vmdk_descriptor("vmfs", "RW 16 VMFS \"/etc/passwd\"\n"),
                                      vmdk_descriptor("vmfs", "RW 16 VMFS \"../x-flat.vmdk\"\n"),
                                      vmdk_descriptor("vmfs", "RW 16 VMFS \"\\\\host\\share\\x\"\n"),
                                      vmdk_descriptor("monolithicFlat", "RW 16 FLAT \"x-flat.vmdk\"\n"),
                                      vmdk_descriptor("monolithicFlat", "RW 16 FLAT \"x-flat.vmdk\" x\n"),
                                      vmdk_descriptor("monolithicFlat", "RW 18446744073709551615 ZERO\nRW 16 ZERO\n"),
                                      vmdk_descriptor("monolithicFlat", "RW 9007199254740992 ZERO\n"),
                                      std::string("# Disk DescriptorFile\n"),
                                      std::string("# Disk DescriptorFile\nversion=1\n"), std::string(2 << 20, '#'));
    INFO(text.substr(0, 300));
    CHECK(refusal_of(with_text(text), DiskFormat::vmdk));
}

TEST_CASE("zeros alone make a disk") {
    const auto device =
        open_disk(with_text(vmdk_descriptor("monolithicFlat", "RW 16 ZERO\nRW 1 ZERO\n")).device(), DiskSource{})
            .device;
    CHECK(device->size() == 17 * 512);
    CHECK(is_zero(read_all(*device)));
}

TEST_CASE("a disk of too many extents is refused") {
    std::string lines;
    for (int i = 0; i < 1025; ++i)
        lines += "RW 1 ZERO\n";
    const auto refused = refusal_of(with_text(vmdk_descriptor("monolithicFlat", lines)), DiskFormat::vmdk);
    REQUIRE(refused);
    CHECK(refused->kind() == ErrorKind::limit);
}
