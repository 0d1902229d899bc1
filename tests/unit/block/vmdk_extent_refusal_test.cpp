#include "tests/support/temporary_folder.hpp"
#include "tests/support/vmdk_writer.hpp"
#include "tests/unit/block/foreign_fixture.hpp"

#include <fstream>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

const GrainValues kSome = {{0, 1}, {1, 2}, {599, 3}};
constexpr std::uint64_t kHuge = ~std::uint64_t{0};

// What a disk of this one extent is refused with, if it is.
std::optional<Error> refusal_of_extent(const ImageBytes& extent, const std::string& create_type,
                                       const std::string& type) {
    const TemporaryFolder folder;
    DiskSource source;
    source.path = folder.path() / "disk.vmdk";
    source.extents = {folder.path() / "extent"};
    std::ofstream(source.path) << vmdk_descriptor(create_type,
                                                  "RW " + std::to_string(kVmdkSectors) + " " + type + " \"extent\"\n");
    std::ofstream(source.extents[0], std::ios::binary) << as_text(extent.bytes);
    try {
        read_data(*open_disk(source).device);
    } catch (const Error& error) {
        return error;
    }
    return std::nullopt;
}

} // namespace

TEST_CASE("sparse extents of VMFS that lie are refused") {
    const std::uint64_t first = cowd_at::grains / 512;
    const Lie lie = GENERATE_COPY(
        Lie{"magic", 0, 1, 'X'}, Lie{"version 2", 4, 4, 2}, Lie{"capacity 0", 12, 4, 0}, Lie{"capacity 8", 12, 4, 8},
        Lie{"grain 0", 16, 4, 0}, Lie{"grain 3", 16, 4, 3}, Lie{"grain 2^31", 16, 4, 1U << 31},
        Lie{"directory 0", 20, 4, 0}, Lie{"directory behind the end", 20, 4, 1 << 20},
        Lie{"directory in the header", 20, 4, 2}, Lie{"no directory", 24, 4, 0},
        Lie{"endless directory", 24, 4, 0xffffffff}, Lie{"table over the header", cowd_at::directory, 4, 1},
        Lie{"table behind the end", cowd_at::directory, 4, 1 << 20},
        Lie{"grain over the table", cowd_at::table + 400, 4, cowd_at::table / 512 + 3},
        Lie{"grain over another", cowd_at::table + 400, 4, first + 7},
        Lie{"grain twice", cowd_at::table + 400, 4, first},
        Lie{"grain behind the end", cowd_at::table + 400, 4, 1 << 20},
        Lie{"grain over the header", cowd_at::table + 400, 4, 1});
    INFO(lie.name);
    ImageBytes image = make_cowd_extent(kSome);
    REQUIRE_FALSE(refusal_of_extent(image, "vmfsSparse", "VMFSSPARSE"));
    image.put_le(lie.at, lie.width, lie.value);
    const auto refused = refusal_of_extent(image, "vmfsSparse", "VMFSSPARSE");
    CHECK(refused);
}

TEST_CASE("seSparse extents that lie are refused") {
    const std::uint64_t entry = sesparse_at::tables + 8 * 100;
    const Lie lie = GENERATE_COPY(
        Lie{"magic", 0, 1, 'X'}, Lie{"version", 8, 8, 0x200000002}, Lie{"capacity 0", 16, 8, 0},
        Lie{"capacity 8", 16, 8, 8}, Lie{"capacity that overflows", 16, 8, kHuge}, Lie{"grain 16", 24, 8, 16},
        Lie{"table 32", 32, 8, 32}, Lie{"flags", 40, 8, 1}, Lie{"reserved", 56, 8, 1}, Lie{"rest", 504, 8, 1},
        Lie{"volatile header 0", 80, 8, 0}, Lie{"volatile header behind the end", 80, 8, 1 << 20},
        Lie{"volatile header elsewhere", 80, 8, 3}, Lie{"directory 0", 128, 8, 0},
        Lie{"directory behind the end", 128, 8, 1 << 20}, Lie{"directory that overflows", 128, 8, kHuge},
        Lie{"no directory", 136, 8, 0}, Lie{"tables 0", 144, 8, 0}, Lie{"tables behind the end", 144, 8, 1 << 20},
        Lie{"no tables", 152, 8, 0}, Lie{"grains 0", 192, 8, 0}, Lie{"grains over the tables", 192, 8, 16},
        Lie{"no grains", 200, 8, 0}, Lie{"volatile magic", 512, 4, 1}, Lie{"journal to carry out", 512 + 24, 8, 1},
        Lie{"entry of the directory without its mark", sesparse_at::directory, 8, 1},
        Lie{"entry of the directory with another", sesparse_at::directory, 8, 0x2000000000000000},
        Lie{"table behind the others", sesparse_at::directory, 8, 0x1000000000000001},
        Lie{"grain that is none", entry, 8, 1}, Lie{"grain of kind 4", entry, 8, 0x4000000000000000},
        Lie{"grain of kind 15", entry, 8, kHuge}, Lie{"grain twice", entry, 8, 0x3000000000000000},
        Lie{"grain behind the end", entry, 8, 0x3100000000000000},
        Lie{"grain behind its area", entry, 8, 0x3000000000001000},
        Lie{"grain far behind", entry, 8, 0x3fffffffffffffff});
    INFO(lie.name);
    ImageBytes image = make_sesparse_extent(kSome);
    REQUIRE_FALSE(refusal_of_extent(image, "seSparse", "SESPARSE"));
    image.put_le(lie.at, lie.width, lie.value);
    CHECK(refusal_of_extent(image, "seSparse", "SESPARSE"));
}

TEST_CASE("flat extents lie in their files, and not over each other") {
    const TemporaryFolder folder;
    const auto refused = [&](const std::string& lines) {
        DiskSource source;
        source.path = folder.path() / "disk.vmdk";
        source.extents = {folder.path() / "disk-flat.vmdk"};
        std::ofstream(source.path) << vmdk_descriptor("monolithicFlat", lines);
        std::ofstream(source.extents[0]) << std::string(8192, 'f');
        try {
            read_data(*open_disk(source).device);
        } catch (const Error& error) {
            return error.kind() == ErrorKind::corrupt;
        }
        return false;
    };
    const std::string name = "\"disk-flat.vmdk\"";
    CHECK_FALSE(refused("RW 8 FLAT " + name + " 0\nRW 8 FLAT " + name + " 8\n"));
    CHECK(refused("RW 17 FLAT " + name + " 0\n"));
    CHECK(refused("RW 8 FLAT " + name + " 9\n"));
    CHECK(refused("RW 8 FLAT " + name + " 18446744073709551615\n"));
    CHECK(refused("RW 8 FLAT " + name + " 0\nRW 8 FLAT " + name + " 7\n"));
    CHECK(refused("RW 8 FLAT " + name + " 0\nRW 8 FLAT " + name + " 0\n"));
}
