#include "formats/base/error.hpp"
#include "formats/codec/layer_content.hpp"
#include "formats/oci/memory_store.hpp"
#include "formats/tree/tar_reader.hpp"
#include "libconvert/convert.hpp"
#include "libconvert/source/image_content.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

constexpr std::uint64_t kDiskSize = 8 * MiB;

OpenedDisk disk_of(std::shared_ptr<const BlockDevice> device) {
    OpenedDisk disk;
    disk.info.format = DiskFormat::raw;
    disk.info.virtual_size = device->size();
    disk.info.allocated_size = device->size();
    disk.container = device;
    disk.device = std::move(device);
    return disk;
}

std::shared_ptr<test::MemoryDevice> sample_device() {
    auto device = std::make_shared<test::MemoryDevice>(kDiskSize);
    device->put(0, "boot sector").put(3 * MiB - 5, "across a window's end").fill(5 * MiB, 200 * KiB, 0x5a);
    return device;
}

struct Converted {
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    ImageReport report;
    std::unique_ptr<MemorySource> source() const { return std::make_unique<MemorySource>(store); }
};

Converted convert(const OpenedDisk& disk, const ContainerDiskOptions& options = {}, const DiskOutput& output = {},
                  unsigned threads = 1) {
    Converted result;
    MemoryDestination destination(result.store);
    OperationContext operation;
    operation.threads = threads;
    result.report = convert_to_container_disk(disk, output, options, destination, operation);
    return result;
}

ContainerDiskOptions amd64_options() {
    ContainerDiskOptions options;
    options.image.architecture = "amd64";
    return options;
}

std::vector<TarMember> members_of(const Converted& image) {
    const auto source = image.source();
    const auto content = open_layer_content(source->open_blob(image.report.layer.descriptor), {});
    std::vector<TarMember> members;
    TarReader reader(*content);
    while (auto member = reader.next())
        members.push_back(*member);
    return members;
}

bool same_content(const BlockDevice& left, const BlockDevice& right) {
    std::vector<std::byte> a(left.size());
    std::vector<std::byte> b(right.size());
    left.read_at(0, a);
    right.read_at(0, b);
    return a == b;
}

} // namespace

TEST_CASE("a containerDisk is what KubeVirt, CDI and crun-vm look for") {
    const Converted image = convert(disk_of(sample_device()), amd64_options());
    const std::vector<TarMember> members = members_of(image);
    REQUIRE(members.size() == 2);
    CHECK(members[0].path == "disk");
    CHECK(members[0].type == TarType::directory);
    CHECK(members[0].permissions == 0555);
    CHECK(members[1].path == "disk/disk.qcow2");
    CHECK(members[1].type == TarType::regular);
    CHECK(members[1].permissions == 0444);
    for (const TarMember& member : members) {
        CHECK(member.uid == 107);
        CHECK(member.gid == 107);
    }
    const auto source = image.source();
    const ImageContent content = read_image(*source, "arm64"); // one manifest only: the platform does not choose
    REQUIRE(content.config);
    CHECK(content.config->entrypoint == std::vector<std::string>{"no-entrypoint"});
    CHECK(content.config->platform == Platform{"amd64", "linux", ""});
    CHECK(content.config->created == "1970-01-01T00:00:00Z");
    CHECK(content.config->labels.at("org.vm2oci.disk.virtual-size") == std::to_string(kDiskSize));
    CHECK(content.parsed_manifest.annotations.at("org.opencontainers.image.title") == "disk.qcow2");
}

TEST_CASE("the disk comes out of the image as it went in") {
    const auto device = sample_device();
    for (const char* compression : {"zstd", "gzip", "none"}) {
        for (const DiskOutputFormat format : {DiskOutputFormat::qcow2, DiskOutputFormat::raw}) {
            ContainerDiskOptions options = amd64_options();
            options.layer = parse_compression(compression);
            DiskOutput output;
            output.format = format;
            const Converted image = convert(disk_of(device), options, output);
            const auto source = image.source();
            const DiskInImage found = find_disk(*source, read_image(*source, "amd64"), {});
            DiskSource named;
            named.path = found.path;
            named.format = image.report.disk_format;
            CHECK(same_content(*open_disk(found.bytes, named).device, *device));
        }
    }
}

TEST_CASE("the same content gives the same digest, whatever the threads and the extents") {
    const auto plain = sample_device();
    const auto explicit_zeros = std::make_shared<test::MemoryDevice>(kDiskSize);
    explicit_zeros->fill(0, kDiskSize, 0);
    explicit_zeros->put(0, "boot sector").put(3 * MiB - 5, "across a window's end").fill(5 * MiB, 200 * KiB, 0x5a);
    const Digest expected = convert(disk_of(plain), amd64_options()).report.manifest.digest;
    CHECK(convert(disk_of(plain), amd64_options(), {}, 8).report.manifest.digest == expected);
    CHECK(convert(disk_of(explicit_zeros), amd64_options()).report.manifest.digest == expected);
    ContainerDiskOptions other_time = amd64_options();
    other_time.image.created = 1;
    const Converted later = convert(disk_of(plain), other_time);
    CHECK(later.report.manifest.digest != expected);
    CHECK(later.report.layer.diff_id == convert(disk_of(plain), amd64_options()).report.layer.diff_id);
}

TEST_CASE("a change in the guest changes the frames of its own range alone") {
    const auto frames_of = [](const Converted& image) {
        std::vector<std::string> frames;
        const auto blob = image.source()->open_blob(image.report.layer.descriptor);
        std::uint64_t offset = 0;
        for (const EncodedFrame& frame : image.report.layer.frames) {
            std::string bytes(frame.compressed_size, '\0');
            blob->read_at(offset, std::as_writable_bytes(std::span(bytes)));
            frames.push_back(std::move(bytes));
            offset += frame.compressed_size;
        }
        return frames;
    };
    const auto before = frames_of(convert(disk_of(sample_device()), amd64_options()));
    const auto changed = sample_device();
    changed->put(1 * MiB + 4096, "a new cluster, in front of most of the data");
    const auto after = frames_of(convert(disk_of(changed), amd64_options()));
    const auto shared = std::count_if(before.begin(), before.end(), [&](const std::string& frame) {
        return std::find(after.begin(), after.end(), frame) != after.end();
    });
    // Windows 0, 2, 3 and 5 stay; the file's size in the head and the tables change.
    CHECK(shared == 4);
    CHECK(after.size() == before.size() + 1);
}

TEST_CASE("users' labels, annotations and variables win") {
    ContainerDiskOptions options = amd64_options();
    options.file_name = "root.img";
    options.instancetype = "u1.medium";
    options.preference = "debian";
    options.image.labels = {{"team", "erp"}, {"org.vm2oci.disk.format", "mine"}};
    options.image.annotations = {{"org.opencontainers.image.title", "ERP"}};
    options.image.environment = {"INSTANCETYPE_KUBEVIRT_IO_DEFAULT_PREFERENCE=rhel.9", "A=b"};
    const Converted image = convert(disk_of(sample_device()), options);
    const auto source = image.source();
    const ImageContent content = read_image(*source, "amd64");
    CHECK(content.config->labels.at("team") == "erp");
    CHECK(content.config->labels.at("org.vm2oci.disk.format") == "mine");
    CHECK(content.parsed_manifest.annotations.at("org.opencontainers.image.title") == "ERP");
    CHECK(content.config->environment ==
          std::vector<std::string>{"INSTANCETYPE_KUBEVIRT_IO_DEFAULT_INSTANCETYPE=u1.medium",
                                   "INSTANCETYPE_KUBEVIRT_IO_DEFAULT_PREFERENCE=rhel.9", "A=b"});
    CHECK(members_of(image)[1].path == "disk/root.img");
}

TEST_CASE("names that would leave the folder or delete from it are refused") {
    for (const char* name : {"..", "a/b", ".wh.disk", ".", "/etc/passwd"}) {
        ContainerDiskOptions options = amd64_options();
        options.file_name = name;
        CHECK_THROWS_AS(convert(disk_of(sample_device()), options), Error);
    }
}

TEST_CASE("keep passes the container through and refuses what is not clean") {
    OpenedDisk disk = disk_of(sample_device());
    DiskOutput output;
    output.format = DiskOutputFormat::keep;
    CHECK(members_of(convert(disk, amd64_options(), output))[1].content_size == kDiskSize);
    output.virtual_size = 2 * kDiskSize;
    CHECK_THROWS_AS(convert(disk, amd64_options(), output), Error);
    output.virtual_size.reset();
    for (const auto& spoil :
         std::vector<std::function<void(Qcow2Info&)>>{[](Qcow2Info& info) { info.backing_file_name = "base"; },
                                                      [](Qcow2Info& info) { info.data_file_name = "data"; },
                                                      [](Qcow2Info& info) { info.snapshots.emplace_back(); },
                                                      [](Qcow2Info& info) { info.features = {"dirty"}; }}) {
        OpenedDisk dirty = disk_of(sample_device());
        dirty.info.format = DiskFormat::qcow2;
        spoil(dirty.info.details.emplace<Qcow2Info>());
        CHECK_THROWS_AS(convert(dirty, amd64_options(), output), Error);
    }
}

TEST_CASE("nothing is published when the disk cannot be read") {
    const auto device = sample_device();
    device->fail_reads(5 * MiB + 100 * KiB, 1);
    const auto store = std::make_shared<MemoryStore>();
    MemoryDestination destination(store);
    CHECK_THROWS_AS(convert_to_container_disk(disk_of(device), {}, amd64_options(), destination, {}), Error);
    CHECK_THROWS_AS(MemorySource(store).resolve(), Error);
}
