#include "tests/support/temporary_folder.hpp"
#include "tests/support/vmdk_writer.hpp"
#include "tests/unit/block/foreign_fixture.hpp"

#include <fstream>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// Both tables, neighbours, gaps, zeros, the first and the last grain; out of order in the file.
const GrainValues kGrainValues = {{0, 1}, {1, 2}, {2, kZeroedGrain}, {100, 3}, {511, 4}, {512, 5}, {599, 6}};
const GrainValues kPlainValues = {{0, 1}, {1, 2}, {100, 3}, {511, 4}, {512, 5}, {599, 6}};

unsigned value_in(const GrainValues& values, std::uint64_t grain) {
    const auto found = values.find(grain);
    return found == values.end() || found->second == kZeroedGrain ? 0 : found->second;
}

const VmdkInfo& vmdk_of(const OpenedDisk& disk) {
    REQUIRE(disk.info.get<VmdkInfo>() != nullptr);
    return *disk.info.get<VmdkInfo>();
}

class VmdkFolder {
  public:
    std::filesystem::path put(const std::string& name, const ImageBytes& image) {
        return put(name, std::string(as_text(image.bytes)));
    }
    std::filesystem::path put(const std::string& name, const std::string& text) {
        const std::filesystem::path path = folder_.path() / name;
        std::ofstream(path, std::ios::binary) << text;
        return path;
    }
    std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

  private:
    TemporaryFolder folder_;
};

DiskSource named(const std::filesystem::path& path) {
    DiskSource source;
    source.path = path;
    return source;
}

std::string line(std::uint64_t sectors, const std::string& rest) {
    return "RW " + std::to_string(sectors) + " " + rest + "\n";
}

std::string flat_descriptor(const std::string& name) {
    return vmdk_descriptor("monolithicFlat", line(16, "FLAT \"" + name + "\" 0"));
}

} // namespace

TEST_CASE("a sparse VMDK is read by its grains") {
    const OpenedDisk disk = open_disk(make_sparse_vmdk(kGrainValues).device(), DiskSource{});
    CHECK(disk.info.format == DiskFormat::vmdk);
    CHECK(disk.device->size() == kVmdkGrains * kVmdkGrain);
    check_units(*disk.device, kVmdkGrain, [](std::uint64_t grain) { return value_in(kGrainValues, grain); });
    const VmdkInfo& info = vmdk_of(disk);
    CHECK(info.create_type == "monolithicSparse");
    CHECK(info.grain_size == kVmdkGrain);
    CHECK(info.content_id == 0x1a2b3c4d);
    CHECK(info.grains.data == 6);
    CHECK(info.grains.zero == 1);
    CHECK(info.grains.unallocated == kVmdkGrains - 7);
    CHECK(disk.info.allocated_size == 6 * kVmdkGrain);
    REQUIRE(info.extents.size() == 1);
    CHECK(info.extents[0].name == "a.vmdk");
}

TEST_CASE("a stream as VMware exports it is read by its footer") {
    const OpenedDisk disk = open_disk(make_stream_vmdk(kPlainValues).device(), DiskSource{});
    check_units(*disk.device, kVmdkGrain, [](std::uint64_t grain) { return value_in(kPlainValues, grain); });
    CHECK(vmdk_of(disk).compressed);
    CHECK(vmdk_of(disk).grains.compressed == 6);
}

TEST_CASE("what lies inside something else needs no file names") {
    ImageBytes tar;
    tar.fill(0, 3 * 512, 0xaa);
    const ImageBytes stream = make_stream_vmdk(kPlainValues);
    tar.put(3 * 512, std::span<const std::byte>(stream.bytes));
    tar.fill(tar.size(), 1024, 0);
    const auto slice = std::make_shared<SliceDevice>(tar.device(), 3 * 512, stream.size());
    const OpenedDisk disk = open_disk(slice, DiskSource{});
    check_units(*disk.device, kVmdkGrain, [](std::uint64_t grain) { return value_in(kPlainValues, grain); });
    // A descriptor there has no siblings, whatever lies beside the archive.
    ImageBytes text;
    text.put(0, flat_descriptor("x-flat.vmdk"));
    VmdkFolder folder;
    folder.put("x-flat.vmdk", std::string(8192, 'x'));
    DiskSource inside = named(folder.path("x.vmdk"));
    CHECK(error_of([&] { open_disk(text.device(), inside); }).kind() == ErrorKind::unsafe);
    inside.extents = {folder.path("x-flat.vmdk")};
    CHECK(cluster_value(*open_disk(text.device(), inside).device, 0, 8192) == 'x');
}

TEST_CASE("extents are those that are given, or siblings whose names follow from the descriptor's") {
    VmdkFolder folder;
    folder.put("web01-flat.vmdk", std::string(8192, 'a'));
    SECTION("the sibling") {
        const auto path = folder.put("web01.vmdk", flat_descriptor("web01-flat.vmdk"));
        CHECK(cluster_value(*open_disk(named(path)).device, 0, 8192) == 'a');
    }
    SECTION("a descriptor that somebody has edited") {
        std::string text = flat_descriptor("web01-flat.vmdk");
        const auto replace = [&](const std::string& from, const std::string& to) {
            REQUIRE(text.find(from) != std::string::npos);
            text.replace(text.find(from), from.size(), to);
        };
        replace("createType", "CreateType");
        replace("parentCID=", "PARENTCID = ");
        text.insert(0, "\xef\xbb\xbf");
        const auto opened = open_disk(named(folder.put("web01.vmdk", text)));
        CHECK(opened.info.format == DiskFormat::vmdk);
        CHECK(cluster_value(*opened.device, 0, 8192) == 'a');
        const auto wide = folder.put("web01.vmdk", "\xff\xfe" + std::string("v\0e\0r\0s\0i\0o\0n\0=\0001\0", 18));
        CHECK_THAT(error_of([&] { open_disk(named(wide)); }).message(), Catch::Contains("UTF-16"));
    }
    SECTION("what is called a VMDK, and is none") {
        DiskSource source = named(folder.put("web01.vmdk", std::string(2 << 20, 'x')));
        source.format = DiskFormat::vmdk;
        CHECK_THAT(error_of([&] { open_disk(source); }).message(), Catch::Contains("not a VMDK"));
    }
    SECTION("a name that does not follow") {
        folder.put("other-flat.vmdk", std::string(8192, 'b'));
        for (const std::string name : {"other-flat.vmdk", "web01-data.vmdk", "web01-flat.vmdk.bak", "web01.vmdk",
                                       "./web01-flat.vmdk", "/etc/passwd", "web01-s01.vmdk", "web01-f0x1.vmdk"}) {
            const auto path = folder.put("web01.vmdk", flat_descriptor(name));
            const Error refused = error_of([&] { open_disk(named(path)); });
            CHECK(refused.kind() == ErrorKind::unsafe);
            CHECK(refused.hint().kind == HintKind::extent);
        }
    }
    SECTION("no such file, a link, a folder") {
        const auto path = folder.put("db.vmdk", flat_descriptor("db-flat.vmdk"));
        CHECK(error_of([&] { open_disk(named(path)); }).kind() == ErrorKind::unsafe);
        std::filesystem::create_symlink(folder.path("web01-flat.vmdk"), folder.path("db-flat.vmdk"));
        CHECK(error_of([&] { open_disk(named(path)); }).kind() == ErrorKind::unsafe);
        std::filesystem::remove(folder.path("db-flat.vmdk"));
        std::filesystem::create_directory(folder.path("db-flat.vmdk"));
        CHECK(error_of([&] { open_disk(named(path)); }).kind() == ErrorKind::unsafe);
    }
    SECTION("given ones stand for the line that has their name, the others for the rest in order") {
        const std::string lines = line(8, "FLAT \"one.vmdk\" 0") + line(8, "FLAT \"/vmfs/two.vmdk\" 0") +
                                  line(8, "ZERO") + line(8, "FLAT \"one.vmdk\" 8");
        DiskSource source = named(folder.put("web01.vmdk", vmdk_descriptor("twoGbMaxExtentFlat", lines)));
        source.extents = {folder.put("two.vmdk", std::string(4096, '2')),
                          folder.put("renamed", std::string(4096, '1') + std::string(4096, '4'))};
        const auto device = open_disk(source).device;
        REQUIRE(device->size() == 4 * 4096);
        CHECK(cluster_value(*device, 0, 4096) == '1');
        CHECK(cluster_value(*device, 1, 4096) == '2');
        CHECK(cluster_value(*device, 2, 4096) == 0);
        CHECK(cluster_value(*device, 3, 4096) == '4');
        source.extents.push_back(folder.put("more", "x"));
        CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::usage);
    }
    SECTION("an extent for what has none") {
        DiskSource source = named(folder.put("disk.vmdk", make_sparse_vmdk(kGrainValues)));
        source.extents = {folder.path("web01-flat.vmdk")};
        CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::usage);
    }
}

TEST_CASE("sparse disks in several files, and those of VMFS") {
    VmdkFolder folder;
    const auto wanted = [](std::uint64_t grain) { return value_in(kPlainValues, grain % kVmdkGrains); };
    SECTION("twoGbMaxExtentSparse") {
        folder.put("web01-s001.vmdk", make_sparse_vmdk(kPlainValues, ""));
        folder.put("web01-s002.vmdk", make_sparse_vmdk(kPlainValues, ""));
        const auto path =
            folder.put("web01.vmdk",
                       vmdk_descriptor("twoGbMaxExtentSparse", line(kVmdkSectors, "SPARSE \"web01-s001.vmdk\"") +
                                                                   line(kVmdkSectors, "SPARSE \"web01-s002.vmdk\"")));
        check_units(*open_disk(named(path)).device, kVmdkGrain, wanted);
        folder.put("web01-s002.vmdk", make_cowd_extent(kPlainValues)); // of another kind than its line says
        CHECK(error_of([&] { open_disk(named(path)); }).kind() == ErrorKind::corrupt);
    }
    SECTION("vmfsSparse") {
        folder.put("web01-delta.vmdk", make_cowd_extent(kPlainValues));
        const auto path = folder.put(
            "web01.vmdk", vmdk_descriptor("vmfsSparse", line(kVmdkSectors, "VMFSSPARSE \"web01-delta.vmdk\"")));
        check_units(*open_disk(named(path)).device, kVmdkGrain, wanted);
    }
    SECTION("seSparse") {
        folder.put("web01-sesparse.vmdk", make_sesparse_extent(kGrainValues));
        const auto path = folder.put(
            "web01.vmdk", vmdk_descriptor("seSparse", line(kVmdkSectors, "SESPARSE \"web01-sesparse.vmdk\"")));
        const OpenedDisk disk = open_disk(named(path));
        check_units(*disk.device, kVmdkGrain, wanted);
        CHECK(vmdk_of(disk).grains.data == 6);
        CHECK(vmdk_of(disk).grains.zero == 1);
    }
    SECTION("vmfs") {
        folder.put("web01-flat.vmdk", std::string(8192, 'v'));
        const auto path = folder.put("web01.vmdk", vmdk_descriptor("vmfs", line(16, "VMFS \"web01-flat.vmdk\"")));
        CHECK(cluster_value(*open_disk(named(path)).device, 0, 8192) == 'v');
    }
    SECTION("an extent alone says nothing of its disk") {
        for (const ImageBytes& image :
             {make_sparse_vmdk(kPlainValues, ""), make_cowd_extent(kPlainValues), make_sesparse_extent(kPlainValues)})
            CHECK(error_of([&] { open_disk(named(folder.put("alone.vmdk", image))); }).kind() == ErrorKind::unsafe);
    }
    SECTION("a descriptor in a sparse file's shell") {
        ImageBytes shell = make_sparse_vmdk({}, vmdk_descriptor("vmfs", line(16, "VMFS \"web01-flat.vmdk\"")));
        shell.put_le(12, 8, 0);
        folder.put("web01-flat.vmdk", std::string(8192, 's'));
        CHECK(cluster_value(*open_disk(named(folder.put("web01.vmdk", shell))).device, 0, 8192) == 's');
    }
}

TEST_CASE("a delta is read over the parent that its content ID names") {
    VmdkFolder folder;
    const std::string extent = line(kVmdkSectors, "SPARSE \"a.vmdk\"");
    const GrainValues own = {{1, 9}, {2, kZeroedGrain}, {300, 8}};
    const GrainValues base = {{0, 1}, {1, 2}, {2, 3}, {511, 4}};
    const auto delta_path =
        folder.put("delta.vmdk", make_sparse_vmdk(own, vmdk_descriptor("monolithicSparse", extent, "0000beef", "2")));
    const auto base_path = folder.put(
        "base.vmdk", make_sparse_vmdk(base, vmdk_descriptor("monolithicSparse", extent, "ffffffff", "beef")));
    CHECK(error_of([&] { open_disk(named(delta_path)); }).kind() == ErrorKind::unsafe);
    DiskSource source = named(delta_path);
    source.backing = {{base_path, std::nullopt}};
    const OpenedDisk disk = open_disk(source);
    check_units(*disk.device, kVmdkGrain, [&](std::uint64_t grain) {
        return own.count(grain) != 0 ? value_in(own, grain) : value_in(base, grain);
    });
    CHECK(vmdk_of(disk).parent_content_id == 0xbeefU);
    SECTION("another one is refused") {
        folder.put("base.vmdk",
                   make_sparse_vmdk(base, vmdk_descriptor("monolithicSparse", extent, "ffffffff", "bee0")));
        CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::unsafe);
        source.backing = {{folder.put("base.raw", std::string(8192, 'r')), DiskFormat::raw}};
        CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::unsafe);
    }
    SECTION("of several extents each has its part of the parent") {
        const std::string halves =
            line(kVmdkSectors, "SPARSE \"top-s001.vmdk\"") + line(kVmdkSectors, "VMFSSPARSE \"top-delta.vmdk\"");
        folder.put("top-s001.vmdk", make_sparse_vmdk({{0, 7}}, ""));
        folder.put("top-delta.vmdk", make_cowd_extent({{0, 6}}));
        folder.put("large-flat.vmdk",
                   std::string(kVmdkGrains * kVmdkGrain, 'L') + std::string(kVmdkGrains * kVmdkGrain, 'M'));
        DiskSource top = named(folder.put("top.vmdk", vmdk_descriptor("twoGbMaxExtentSparse", halves, "77", "78")));
        top.backing = {
            {folder.put("large.vmdk",
                        vmdk_descriptor("vmfs", line(2 * kVmdkSectors, "VMFS \"large-flat.vmdk\""), "ffffffff", "77")),
             std::nullopt}};
        check_units(*open_disk(top).device, kVmdkGrain, [](std::uint64_t grain) {
            return grain == 0 ? 7U : grain == kVmdkGrains ? 6U : grain < kVmdkGrains ? unsigned{'L'} : unsigned{'M'};
        });
    }
}

TEST_CASE("what a cut-off VMDK lacks is read as zeros when that is allowed") {
    ImageBytes image = make_sparse_vmdk(kPlainValues);
    image.bytes.resize(image.bytes.size() - kVmdkGrain - 100);
    DiskSource source = declared(DiskFormat::vmdk);
    CHECK(error_of([&] { open_disk(image.device(), source); }).kind() == ErrorKind::corrupt);
    source.policy.truncation = Tolerance::allow;
    const auto device = open_disk(image.device(), source).device;
    CHECK(cluster_value(*device, 599, kVmdkGrain) == 0);
    CHECK(cluster_value(*device, 511, kVmdkGrain) == 4);
    // A writer that stops at the last sector loses nothing.
    ImageBytes whole = make_sparse_vmdk({{0, 1}, {1, 0}});
    whole.bytes.resize(whole.bytes.size() - 1024);
    CHECK(cluster_value(*open_disk(whole.device(), declared(DiskFormat::vmdk)).device, 1, kVmdkGrain) == 0);
}

TEST_CASE("tables that are holes of the file cost nothing, however many there are") {
    // 1 TiB in grains of 4 KiB: half a million tables, all but one of which are holes.
    constexpr std::uint64_t sectors = (std::uint64_t{1} << 40) / 512;
    constexpr std::uint64_t tables = sectors / 8 / 512;
    constexpr std::uint64_t directory = 64;
    constexpr std::uint64_t first_table = directory + tables * 4 / 512;
    ImageBytes image = make_sparse_vmdk({}, vmdk_descriptor("monolithicSparse", line(sectors, "SPARSE \"a.vmdk\"")));
    image.put_le(8, 4, 1);
    image.put_le(12, 8, sectors);
    image.put_le(56, 8, directory);
    for (std::uint64_t table = 0; table < tables; ++table)
        image.put_le(directory * 512 + 4 * table, 4, first_table + 4 * table);
    const std::uint64_t grain = (first_table + tables * 4 + 7) / 8 * 8;
    const auto file = std::make_shared<MemoryDevice>(grain * 512 + kVmdkGrain);
    file->put(0, std::span<const std::byte>(image.bytes));
    std::array<std::byte, 4> entry;
    store_le<std::uint32_t>(entry.data(), static_cast<std::uint32_t>(grain));
    file->put((first_table + 4 * 1000) * 512, entry);
    file->fill(grain * 512, kVmdkGrain, 9);
    const OpenedDisk disk = open_disk(file, DiskSource{});
    CHECK(disk.info.allocated_size == kVmdkGrain);
    CHECK(file->bytes_read() < 32 * MiB);
    const std::uint64_t place = std::uint64_t{1000} * 512 * kVmdkGrain;
    const std::uint64_t read_to_open = file->reads();
    for (std::uint64_t offset = 0; offset < disk.device->size(); offset += GiB)
        CHECK(disk.device->extent_at(offset).length >= (offset / GiB == place / GiB ? kVmdkGrain : GiB));
    CHECK(file->reads() - read_to_open < 200); // no call goes through all of the disk
    CHECK(cluster_value(*disk.device, place / kVmdkGrain, kVmdkGrain) == 9);
    CHECK(cluster_value(*disk.device, place / kVmdkGrain + 1, kVmdkGrain) == 0);
}
