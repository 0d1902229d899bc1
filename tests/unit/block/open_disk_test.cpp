#include "formats/base/fd.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/block/qcow2_fixture.hpp"

#include <filesystem>
#include <fstream>

using namespace vm2oci;
using namespace vm2oci::test;
namespace format = vm2oci::qcow2;

namespace {

class Folder : public TemporaryFolder {
  public:
    std::filesystem::path write(const std::string& name, std::span<const std::byte> bytes) const {
        std::ofstream(path() / name, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        return path() / name;
    }
    std::filesystem::path write(const std::string& name, const Qcow2Builder& builder) const {
        return write(name, read_all(*builder.device()));
    }
    std::filesystem::path write(const std::string& name, std::size_t size, std::uint8_t value) const {
        return write(name, std::vector<std::byte>(size, std::byte{value}));
    }
};

DiskSource from(const std::filesystem::path& path) {
    DiskSource source;
    source.path = path;
    return source;
}

Qcow2Builder overlay(std::uint64_t size = 64 * KiB) {
    Qcow2Shape shape;
    shape.size = size;
    Qcow2Builder builder(shape);
    builder.set_backing_file("/etc/passwd");
    return builder;
}

} // namespace

TEST_CASE("the format is detected, or it is the one declared") {
    const Folder folder;
    Qcow2Builder builder;
    builder.add_data(0, 5);
    const auto qcow2 = folder.write("disk.qcow2", builder);
    CHECK(open_disk(from(qcow2)).info.format == DiskFormat::qcow2);
    DiskSource as_raw = from(qcow2);
    as_raw.format = DiskFormat::raw;
    const OpenedDisk raw = open_disk(as_raw);
    CHECK(raw.info.format == DiskFormat::raw);
    CHECK(read_all(*raw.device) == read_all(*builder.device()));
    DiskSource as_qcow2 = from(folder.write("disk.raw", 4096, 1));
    as_qcow2.format = DiskFormat::qcow2;
    CHECK(error_of([&] { open_disk(as_qcow2); }).kind() == ErrorKind::corrupt);
}

TEST_CASE("a raw disk ends on a whole sector") {
    const Folder folder;
    const OpenedDisk disk = open_disk(from(folder.write("disk.raw", 1000, 9)));
    CHECK(disk.info.file_size == 1000);
    CHECK(disk.info.virtual_size == 1024);
    CHECK(disk.container->size() == 1000);
    const auto all = read_all(*disk.device);
    REQUIRE(all.size() == 1024);
    CHECK(all[999] == std::byte{9});
    CHECK(all[1000] == std::byte{0});
}

TEST_CASE("raw disks have a limit too") {
    DiskSource source = declared(DiskFormat::raw);
    const auto disk = std::make_shared<MemoryDevice>(3 * TiB);
    CHECK(error_of([&] { open_disk(disk, source); }).kind() == ErrorKind::limit);
    source.policy.max_virtual_size = 3 * TiB;
    CHECK(open_disk(disk, source).info.allocated_size == 0);
}

TEST_CASE("an empty file is no disk unless it is declared") {
    const auto empty = std::make_shared<MemoryDevice>(0);
    CHECK(error_of([&] { open_disk(empty, DiskSource{}); }).kind() == ErrorKind::unsupported);
    CHECK(open_disk(empty, declared(DiskFormat::raw)).device->size() == 0);
}

TEST_CASE("a backing file comes from the user and from nowhere else") {
    const Folder folder;
    const auto top = folder.write("top.qcow2", overlay());
    const Error refused = error_of([&] { open_disk(from(top)); });
    CHECK(refused.kind() == ErrorKind::unsafe);
    CHECK(std::string_view(refused.what()).find("'/etc/passwd'") != std::string_view::npos);
    CHECK(refused.hint().kind == HintKind::backing);

    DiskSource source = from(top);
    source.backing.push_back({folder.write("base.raw", 64 * KiB, 3), DiskFormat::raw});
    CHECK(cluster_value(*open_disk(source).device, 7, 4096) == 3);
    source.backing.push_back({folder.write("more.raw", 64 * KiB, 3), DiskFormat::raw});
    CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::usage);

    DiskSource needless = from(folder.write("alone.qcow2", Qcow2Builder()));
    needless.backing.push_back({folder.path() / "base.raw", DiskFormat::raw});
    CHECK(error_of([&] { open_disk(needless); }).kind() == ErrorKind::usage);
    needless.backing.assign(kMaxBackingFiles + 1, {folder.path() / "base.raw", DiskFormat::raw});
    CHECK(error_of([&] { open_disk(needless); }).kind() == ErrorKind::limit);
}

TEST_CASE("a chain is read through, nearest first, whatever the sizes of its layers") {
    const Folder folder;
    Qcow2Builder top = overlay(64 * KiB);
    top.add_data(0, 1);
    top.set_l2(3, format::kEntryZero); // hides what lies below
    Qcow2Builder middle = overlay(32 * KiB);
    middle.add_data(0, 2);
    middle.add_data(1, 2);
    middle.add_data(3, 2);
    DiskSource source = from(folder.write("top.qcow2", top));
    source.backing.push_back({folder.write("middle.qcow2", middle), std::nullopt});
    source.backing.push_back({folder.write("base.raw", 12 * KiB + 100, 3), std::nullopt});
    const OpenedDisk disk = open_disk(source);
    CHECK(disk.device->size() == 64 * KiB);
    CHECK(cluster_value(*disk.device, 0, 4096) == 1);
    CHECK(cluster_value(*disk.device, 1, 4096) == 2);
    CHECK(cluster_value(*disk.device, 2, 4096) == 3);
    CHECK(cluster_value(*disk.device, 3, 4096) == 0);
    CHECK(cluster_value(*disk.device, 4, 4096) == 0);
    CHECK(cluster_value(*disk.device, 12, 4096) == 0); // behind the end of the middle
    CHECK(disk.device->extent_at(0).kind == ExtentKind::data);
    CHECK(disk.device->extent_at(0).length == 3 * 4096);
    CHECK(disk.device->extent_at(3 * 4096).kind == ExtentKind::zero);
    CHECK(disk.device->extent_at(8 * 4096).kind == ExtentKind::unallocated);
    CHECK(qcow2_of(disk.info).clusters.data == 1);
    CHECK(qcow2_of(disk.info).backing_file_name == "/etc/passwd");
}

TEST_CASE("data behind the end of a short layer below does not shine through") {
    const Folder folder;
    Qcow2Builder middle = overlay(8 * KiB);
    DiskSource source = from(folder.write("top.qcow2", overlay(64 * KiB)));
    source.backing.push_back({folder.write("middle.qcow2", middle), DiskFormat::qcow2});
    source.backing.push_back({folder.write("base.raw", 64 * KiB, 3), DiskFormat::raw});
    const auto device = open_disk(source).device;
    CHECK(cluster_value(*device, 1, 4096) == 3);
    CHECK(cluster_value(*device, 2, 4096) == 0);
}

TEST_CASE("an external data file comes from the user, at the guest's own offsets") {
    const Folder folder;
    Qcow2Shape shape;
    shape.incompatible = format::incompatible::external_data_file;
    Qcow2Builder builder(shape);
    builder.add_extension(format::extension::external_data_file, "/etc/shadow\n");
    builder.set_l2(0, format::kEntryCopied); // offset 0 is a place like any other there
    builder.set_l2(2, 2 * 4096 | format::kEntryCopied);
    const auto path = folder.write("disk.qcow2", builder);
    const Error refused = error_of([&] { open_disk(from(path)); });
    CHECK(refused.kind() == ErrorKind::unsafe);
    CHECK(std::string_view(refused.what()).find(R"('/etc/shadow\x0a')") != std::string_view::npos);

    DiskSource source = from(path);
    source.data_file = folder.write("data.raw", 64 * KiB, 4);
    const OpenedDisk disk = open_disk(source);
    CHECK(cluster_value(*disk.device, 0, 4096) == 4);
    CHECK(cluster_value(*disk.device, 1, 4096) == 0);
    CHECK(cluster_value(*disk.device, 2, 4096) == 4);
    CHECK(qcow2_of(disk.info).data_file_name == "/etc/shadow\n");

    source.data_file = folder.write("short.raw", 8192, 4);
    CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::corrupt);
    source.data_file = folder.path() / "data.raw";
    builder.set_l2(2, 3 * 4096);
    folder.write("disk.qcow2", builder);
    CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::corrupt);
    builder.set_l2(2, 0);
    builder.set_compressed(1, 0x5000, 0);
    folder.write("disk.qcow2", builder);
    CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::corrupt);

    source.path = folder.write("without.qcow2", Qcow2Builder());
    CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::usage);
    source.path = folder.write("disk.raw", 512, 1);
    CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::usage);
}

TEST_CASE("files that are no disks are refused by their type") {
    const Folder folder;
    CHECK(error_of([&] { open_disk(from(folder.path())); }).kind() == ErrorKind::unsupported);
    CHECK(error_of([&] { open_disk(from(folder.path() / "none")); }).kind() == ErrorKind::not_found);
}

TEST_CASE("examining tells what can be told and what open_disk would say") {
    SECTION("a sound disk") {
        Qcow2Builder builder;
        builder.add_data(0, 1);
        const DiskFindings findings = examine_disk(builder.device(), DiskSource{});
        CHECK_FALSE(findings.refusal);
        CHECK(qcow2_of(findings.info).clusters.data == 1);
    }
    SECTION("an encrypted disk is counted") {
        Qcow2Builder builder;
        builder.add_data(0, 1);
        builder.put32(format::header_offset::crypt_method, 2);
        const DiskFindings findings = examine_disk(builder.device(), DiskSource{});
        REQUIRE(findings.refusal);
        CHECK(findings.refusal->find("LUKS") != std::string::npos);
        CHECK(qcow2_of(findings.info).clusters.data == 1);
        CHECK(qcow2_of(findings.info).features == std::vector<std::string>{"LUKS encryption"});
    }
    SECTION("a truncated disk is counted") {
        Qcow2Builder builder;
        builder.truncate(builder.add_data(0, 1));
        const DiskFindings findings = examine_disk(builder.device(), DiskSource{});
        REQUIRE(findings.refusal);
        CHECK(findings.refusal->find("truncated") != std::string::npos);
        CHECK(qcow2_of(findings.info).clusters.data == 1);
    }
    SECTION("names are reported") {
        Qcow2Builder builder = overlay();
        builder.add_data(0, 1);
        const DiskFindings findings = examine_disk(builder.device(), DiskSource{});
        CHECK(findings.refusal);
        CHECK(qcow2_of(findings.info).backing_file_name == "/etc/passwd");
        CHECK(qcow2_of(findings.info).clusters.data == 1);
    }
    SECTION("an unknown feature leaves the header") {
        Qcow2Builder builder;
        builder.put64(format::header_offset::incompatible_features, 1ULL << 60);
        const DiskFindings findings = examine_disk(builder.device(), DiskSource{});
        CHECK(findings.refusal);
        CHECK(findings.info.virtual_size == 64 * KiB);
        CHECK(qcow2_of(findings.info).cluster_size == 4096);
    }
    SECTION("a foreign format is named") {
        MemoryDevice file(64 * KiB);
        file.put(0, "sprs");
        const DiskFindings findings = examine_disk(std::make_shared<MemoryDevice>(64 * KiB), DiskSource{});
        CHECK_FALSE(findings.foreign_format);
        const auto sparse_image = std::make_shared<MemoryDevice>(64 * KiB);
        sparse_image->put(0, "sprs");
        CHECK(examine_disk(sparse_image, DiskSource{}).foreign_format == "Apple sparse image");
        CHECK_FALSE(examine_disk(sparse_image, DiskSource{}).format_known);
        CHECK(examine_disk(sparse_image, declared(DiskFormat::raw)).format_known);
        CHECK(examine_disk(sparse_image, DiskSource{}).refusal);
    }
    SECTION("a machine that fails is no finding") {
        const auto file = Qcow2Builder().device();
        file->fail_reads(0, 1);
        CHECK(error_of([&] { examine_disk(file, declared(DiskFormat::qcow2)); }).kind() == ErrorKind::io);
    }
}

TEST_CASE("internal snapshots are reported") {
    Qcow2Builder builder;
    builder.add_data(0, 1);
    builder.align();
    const std::uint64_t table = builder.end();
    builder.append(std::vector<std::byte>(40 + 16 + 1 + 5));
    builder.put8(table + 13, 1); // id length
    builder.put8(table + 15, 5); // name length
    builder.put32(table + 16, 1700000000);
    builder.put32(table + 36, 16); // extra data: state size, disk size
    builder.put64(table + 40, 12345);
    builder.put64(table + 48, 32 * KiB);
    builder.put(table + 56, "7first");
    builder.put32(format::header_offset::snapshot_count, 1);
    builder.put64(format::header_offset::snapshots_offset, table);
    const DiskInfo info = open_qcow2(builder).info;
    CHECK(qcow2_of(info).snapshot_count == 1);
    REQUIRE(qcow2_of(info).snapshots.size() == 1);
    CHECK(qcow2_of(info).snapshots[0].id == "7");
    CHECK(qcow2_of(info).snapshots[0].name == "first");
    CHECK(qcow2_of(info).snapshots[0].created_unix == 1700000000);
    CHECK(qcow2_of(info).snapshots[0].vm_state_size == 12345);
    CHECK(qcow2_of(info).snapshots[0].disk_size == 32 * KiB);

    builder.put32(table + 36, 1025);
    CHECK(refusal_of(builder).kind() == ErrorKind::corrupt);
    builder.put32(table + 36, 17);
    CHECK(refusal_of(builder).kind() == ErrorKind::corrupt); // the name ends beyond the file
}
