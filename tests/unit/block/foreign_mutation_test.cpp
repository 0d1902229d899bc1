// Sound images with a few numbers changed, seeded: reading them ends in content or in an Error, and what opening lets
// through has extents that make sense.
#include "tests/support/vhd_writer.hpp"
#include "tests/support/vhdx_writer.hpp"
#include "tests/support/vmdk_writer.hpp"
#include "tests/unit/block/foreign_fixture.hpp"

#include <random>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

struct Zone {
    std::uint64_t at;
    std::uint64_t length;
};

class Mutator {
  public:
    explicit Mutator(unsigned seed) : random_(seed) {}

    void mutate(ImageBytes& image, const std::vector<Zone>& zones) {
        for (std::uint64_t changes = 1 + random_() % 3; changes > 0; --changes) {
            const Zone& zone = zones[random_() % zones.size()];
            const std::size_t width = std::size_t{1} << (random_() % 4);
            const std::uint64_t at = zone.at + random_() % zone.length / width * width;
            if (at + width > image.size())
                continue;
            std::uint64_t value = load_le<std::uint64_t>(padded(image, at, width).data());
            switch (random_() % 4) {
            case 0:
                value ^= std::uint64_t{1} << (random_() % 64);
                break;
            case 1:
                value += random_() % 17 - 8;
                break;
            case 2:
                value = (std::uint64_t{1} << (random_() % 64)) - random_() % 2;
                break;
            default:
                value = random_();
            }
            image.put_le(at, width, value);
        }
        if (random_() % 20 == 0)
            image.bytes.resize(static_cast<std::size_t>(random_() % image.size()));
    }

  private:
    static std::array<std::byte, 8> padded(ImageBytes& image, std::uint64_t at, std::size_t width) {
        std::array<std::byte, 8> bytes{};
        std::ranges::copy(image.at(at, width), bytes.begin());
        return bytes;
    }
    std::mt19937_64 random_;
};

template <class Seal>
void try_many(const ImageBytes& sound, DiskFormat format, const std::vector<Zone>& zones, Seal seal) {
    constexpr unsigned kSeeds = 300;
    unsigned refused = 0;
    for (unsigned seed = 0; seed < kSeeds; ++seed) {
        CAPTURE(seed);
        ImageBytes image = sound;
        Mutator(seed).mutate(image, zones);
        if (image.size() > 2 * MiB || format != DiskFormat::vhdx)
            seal(image);
        refused += refusal_of(image, format) ? 1U : 0U;
    }
    // Most of these numbers matter, and some do not.
    CHECK(refused > kSeeds / 4);
    CHECK(refused < kSeeds);
}

} // namespace

TEST_CASE("images with numbers changed are content or refused") {
    const auto leave = [](ImageBytes& /*image*/) {};
    SECTION("VMDK") {
        try_many(make_sparse_vmdk({{0, 1}, {2, kZeroedGrain}, {3, 2}, {599, 3}}), DiskFormat::vmdk,
                 {{0, 80},
                  {512, 200},
                  {sparse_at::directory, 8},
                  {sparse_at::redundant_directory, 8},
                  {sparse_at::tables, 32},
                  {sparse_at::redundant_tables, 32}},
                 leave);
    }
    SECTION("VMDK, a stream") {
        const ImageBytes stream = make_stream_vmdk({{0, 1}, {3, 2}, {599, 3}});
        try_many(stream, DiskFormat::vmdk,
                 {{0, 80}, {kStreamGrainsAt, 64}, {stream.size() - 1536, 1536}, {stream.size() - 2048, 16}}, leave);
    }
    SECTION("VHD") {
        VhdShape shape;
        shape.blocks = {{0, 1}, {3, 2}, {39, 3}};
        try_many(make_vhd(shape), DiskFormat::vhd,
                 {{0, 88}, {vhd_at::header, 64}, {vhd_at::table, 64}, {vhd_at::first_block, 16}},
                 [](ImageBytes& image) {
                     if (image.size() > 4096)
                         seal_vhd(image);
                 });
    }
    SECTION("VDI") {
        try_many(make_vdi({{0, 1}, {1, kZeroBlock}, {11, 2}}), DiskFormat::vdi,
                 {{64, 30}, {340, 120}, {vdi_at::map, 64}}, leave);
    }
    SECTION("VHDX") {
        VhdxShape shape;
        shape.blocks = {{0, 1}, {4, 2}};
        ImageBytes image = make_vhdx(shape);
        mark_log(image);
        put_log_entry(image, {0, 0, 7, 0, 0, {{vhdx_at::blocks, 4096, std::vector<std::byte>(4096, std::byte{3})}}});
        try_many(image, DiskFormat::vhdx,
                 {{vhdx_at::headers[1], 80},
                  {vhdx_at::regions[0], 90},
                  {vhdx_at::metadata, 200},
                  {vhdx_at::items, 40},
                  {vhdx_at::table, 80},
                  {vhdx_at::log, 100}},
                 [](ImageBytes& changed) {
                     // The region tables are copies of each other.
                     const auto table = changed.at(vhdx_at::regions[0], 65536);
                     changed.put(vhdx_at::regions[1], std::vector<std::byte>(table.begin(), table.end()));
                     seal_vhdx(changed);
                     seal_log_entry(changed, 0, 2);
                 });
    }
}
