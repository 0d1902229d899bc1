#include "formats/base/error.hpp"
#include "formats/block/empty.hpp"
#include "formats/oci/memory_store.hpp"
#include "libconvert/registry/blob_upload.hpp"
#include "runner/judge/rules.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/flows/convert.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

using Events = std::vector<std::string>;

std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

// Tells what is done to it, and fails where it is told to.
class WatchedDestination final : public ImageDestination {
  public:
    WatchedDestination(std::shared_ptr<MemoryStore> store, std::function<void(const std::string&)> happens)
        : destination_(std::move(store), "web"), happens_(std::move(happens)) {}

    DestinationTraits traits() const override { return destination_.traits(); }
    bool has_blob(const Descriptor& blob) override { return destination_.has_blob(blob); }
    std::unique_ptr<BlobWriter> begin_blob(const std::optional<Descriptor>& expected) override {
        happens_("blob");
        return destination_.begin_blob(expected);
    }
    Descriptor put_manifest(const std::string& bytes, const std::string& media_type) override {
        happens_("manifest");
        return destination_.put_manifest(bytes, media_type);
    }
    std::shared_ptr<const BlockDevice> open_written(const Descriptor& blob) override {
        return destination_.open_written(blob);
    }
    void publish(const Descriptor& top) override {
        happens_("publish");
        destination_.publish(top);
    }

  private:
    MemoryDestination destination_;
    std::function<void(const std::string&)> happens_;
};

// A conversion of the small disk, in memory but for its side outputs.
struct Bench {
    test::TemporaryFolder folder{};
    std::shared_ptr<MemoryStore> store = std::make_shared<MemoryStore>();
    Events events{};
    std::string fails_at{}; // the event that fails
    Outcome outcome = Outcome::ready;
    std::string architecture{}; // of the source image
    ConvertRequest request{};

    Bench() {
        request.source_name = "the disk";
        request.destination_name = "the image";
        request.source = DiskReference{"disk.raw", DiskFormat::raw};
        request.destination = ImageReference(LayoutReference{"nowhere", "web"});
        request.shape = ContainerDiskRequest();
    }

    fs::path file(const char* name) const { return folder.path() / name; }

    void happens(const std::string& event) {
        events.push_back(event);
        if (event == fails_at)
            fail(ErrorKind::io, event + " fails");
    }

    ConvertEngine engine() {
        ConvertEngine made;
        made.open_machine = [this](const Reference&, const SourceRequest&, const std::string&,
                                   const OperationContext&) {
            happens("source");
            const auto device = test::small_disk("web");
            SourceMachine machine;
            machine.disks.push_back({"disk.raw", {device, device, {}}});
            machine.architecture = architecture;
            return machine;
        };
        made.open_destination = [this](const ImageReference&, const OperationContext&,
                                       const registry::RegistryOptions&) {
            happens("destination");
            return std::make_unique<WatchedDestination>(store, [this](const std::string& event) { happens(event); });
        };
        made.boot_machine = [this](const BootSubject& subject, const BootRequest&) {
            happens("boot");
            BootReport report;
            report.source = subject.name;
            report.verdict.emplace();
            report.verdict->outcome = outcome;
            if (outcome == Outcome::failed)
                report.verdict->rule = &kernel_rules()[0];
            return report;
        };
        return made;
    }

    ConvertResult run() { return convert(request, engine(), {}); }

    bool is_published() const {
        try {
            store->find_tag("web");
            return true;
        } catch (const Error&) {
            return false;
        }
    }
};

} // namespace

TEST_CASE("a conversion opens, writes, boots and publishes in this order, with its side outputs before the image") {
    Bench bench;
    bench.request.edits.hostname = "renamed";
    bench.request.sbom = bench.file("s.json");
    bench.request.digest_file = bench.file("digest");
    bench.request.boot_test.emplace();
    bench.request.boot_test->junit = bench.file("junit.xml");
    std::string at_boot;
    std::string at_publish;
    std::string digest_at_publish;
    ConvertEngine engine = bench.engine();
    const BootMachine boot_machine = engine.boot_machine;
    engine.boot_machine = [&](const BootSubject& subject, const BootRequest& request) {
        at_boot = text_of(bench.file("s.json"));
        CHECK(subject.name == "the image");
        CHECK(subject.disk->size() == test::small_disk("web")->size());
        return boot_machine(subject, request);
    };
    engine.open_destination = [&](const ImageReference&, const OperationContext&, const registry::RegistryOptions&) {
        bench.happens("destination");
        return std::make_unique<WatchedDestination>(bench.store, [&](const std::string& event) {
            if (event == "publish") {
                at_publish = text_of(bench.file("s.json")) + text_of(bench.file("junit.xml"));
                digest_at_publish = text_of(bench.file("digest"));
            }
            bench.happens(event);
        });
    };
    const ConvertResult result = convert(bench.request, engine, {});
    CHECK(bench.events == Events{"destination", "source", "blob", "blob", "manifest", "boot", "publish"});
    CHECK(at_boot.empty());
    CHECK(at_publish.find("base-files") != std::string::npos);
    CHECK(at_publish.find("<testsuite") != std::string::npos);
    CHECK(result.is_published());
    CHECK(bench.is_published());
    REQUIRE(std::holds_alternative<ImageReport>(result.made));
    CHECK(std::get<ImageReport>(result.made).manifest.digest == bench.store->find_tag("web").digest);
    CHECK(digest_at_publish == bench.store->find_tag("web").digest.text());
    CHECK_FALSE(result.edits.plan.edits.empty());
}

TEST_CASE("whatever step fails, nothing is published and no side output is there") {
    const auto shape = GENERATE(as<ShapeRequest>(), ContainerDiskRequest(), RootfsRequest());
    const std::string step = GENERATE("source", "destination", "blob", "manifest", "boot", "publish");
    if (step == "boot" && !std::holds_alternative<ContainerDiskRequest>(shape))
        return;
    Bench bench;
    bench.request.shape = shape;
    bench.request.sbom = bench.file("s.json");
    bench.request.digest_file = bench.file("digest");
    if (std::holds_alternative<ContainerDiskRequest>(shape)) {
        bench.request.boot_test.emplace();
        bench.request.boot_test->report_folder = bench.file("report");
    }
    bench.fails_at = step;
    CAPTURE(step);
    CHECK_THROWS_WITH(bench.run(), Catch::Contains(step + " fails"));
    CHECK(bench.events.back() == step);
    CHECK_FALSE(bench.is_published());
    CHECK(fs::is_empty(bench.folder.path()));
}

TEST_CASE("what does not come up is not published, and its report is there") {
    Bench bench;
    bench.outcome = GENERATE(Outcome::failed, Outcome::timed_out, Outcome::stopped);
    bench.request.sbom = bench.file("s.json");
    bench.request.boot_test.emplace();
    bench.request.boot_test->report_folder = bench.file("report");
    if (bench.outcome == Outcome::timed_out)
        bench.request.boot_test->junit = bench.file("junit.xml");
    const ConvertResult result = [&] {
        if (bench.outcome != Outcome::timed_out)
            return bench.run();
        // A time-out has a rule, too.
        ConvertEngine engine = bench.engine();
        engine.boot_machine = [&](const BootSubject& subject, const BootRequest&) {
            BootReport report;
            report.source = subject.name;
            report.verdict.emplace();
            report.verdict->outcome = Outcome::timed_out;
            report.verdict->rule = &judge_rules()[0];
            return report;
        };
        return convert(bench.request, engine, {});
    }();
    CHECK_FALSE(result.is_published());
    CHECK_FALSE(bench.is_published());
    CHECK_FALSE(fs::exists(bench.file("s.json")));
    CHECK(fs::exists(bench.file("report/boot.json")));
    CHECK(std::holds_alternative<ImageReport>(result.made));
}

TEST_CASE("a plan writes nothing and opens no destination") {
    Bench bench;
    bench.request.mode = EditMode::plan_only;
    bench.request.edits.hostname = "renamed";
    bench.request.sbom = bench.file("s.json");
    const ConvertResult result = bench.run();
    CHECK(bench.events == Events{"source"});
    CHECK_FALSE(result.edits.plan.edits.empty());
    CHECK_FALSE(result.is_published());
    CHECK(std::holds_alternative<std::monostate>(result.made));
    CHECK(fs::is_empty(bench.folder.path()));
}

TEST_CASE("a side output that cannot be had stops the conversion before it reads anything") {
    Bench bench;
    bench.request.sbom = bench.file("missing/s.json");
    CHECK_THROWS_AS(bench.run(), Error);
    CHECK(bench.events.empty());
}

TEST_CASE("a disk without packages is refused before the long part begins") {
    Bench bench;
    bench.request.sbom = bench.file("s.json");
    ConvertEngine engine = bench.engine();
    engine.open_machine = [](const Reference&, const SourceRequest&, const std::string&, const OperationContext&) {
        const auto device = std::make_shared<EmptyDevice>(1024 * 1024);
        SourceMachine machine;
        machine.disks.push_back({"empty.raw", {device, device, {}}});
        return machine;
    };
    CHECK_THROWS_AS(convert(bench.request, engine, {}), Error);
    CHECK(bench.events == Events{"destination"});
    CHECK(fs::is_empty(bench.folder.path()));
}

TEST_CASE("an upload that is lost is begun again, and given up in the end") {
    Bench bench;
    const unsigned lost = GENERATE(1u, 3u, 4u);
    unsigned losses = lost;
    const bool is_given_up = lost == 4;
    ConvertEngine engine = bench.engine();
    unsigned opened = 0;
    engine.open_destination = [&](const ImageReference&, const OperationContext&, const registry::RegistryOptions&) {
        ++opened;
        return std::make_unique<WatchedDestination>(bench.store, [&](const std::string& event) {
            if (event == "manifest" && losses-- != 0)
                throw registry::UploadLost(ErrorKind::external, "the connection broke");
        });
    };
    if (is_given_up)
        CHECK_THROWS_AS(convert(bench.request, engine, {}), registry::UploadLost);
    else
        CHECK(convert(bench.request, engine, {}).is_published());
    CHECK(bench.is_published() == !is_given_up);
    CHECK(opened == (is_given_up ? 4 : lost + 1));
}

TEST_CASE("the architecture is the wanted one, the source's or the guest's, and a difference is told") {
    Bench bench;
    const auto platform = [&] { return bench.store->find_tag("web").platform->architecture; };
    bench.request.edits.hostname = "renamed"; // the guest is looked at
    CHECK(bench.run().remarks.empty());
    CHECK(platform() == "amd64"); // the guest's
    bench.architecture = "arm64";
    const ConvertResult differs = bench.run();
    CHECK(platform() == "arm64");
    REQUIRE(differs.remarks.size() == 1);
    CHECK_THAT(differs.remarks[0], Catch::Contains("arm64") && Catch::Contains("amd64"));
    bench.request.architecture = "riscv64";
    CHECK(bench.run().remarks.size() == 1);
    CHECK(platform() == "riscv64");
}

TEST_CASE("a seed for a second disk stands beside a disk, and in an image's annotations with a warning") {
    Bench bench;
    bench.request.edits.cloud_init.user_data = "#cloud-config\n";
    bench.request.edits.cloud_init.place = SeedPlace::disk;
    const ConvertResult image = bench.run();
    REQUIRE(image.remarks.size() == 1);
    CHECK_THAT(image.remarks[0], Catch::Contains("warning") && Catch::Contains("passwords"));

    bench.request.shape = PlainDiskRequest();
    bench.request.destination = DiskReference{bench.file("d.raw").string(), DiskFormat::raw};
    bench.request.disk.format = DiskOutputFormat::raw;
    const ConvertResult disk = bench.run();
    CHECK(disk.remarks.empty());
    REQUIRE(std::holds_alternative<PlainDiskResult>(disk.made));
    CHECK(std::get<PlainDiskResult>(disk.made).seed_disk == bench.file("d.raw.cidata.iso"));
    CHECK(fs::exists(bench.file("d.raw.cidata.iso")));
    CHECK(fs::exists(bench.file("d.raw")));
}

TEST_CASE("the stored size of a disk is what was written, whatever the source stored") {
    constexpr std::uint64_t kSize = 8 * MiB;
    const auto device = std::make_shared<test::MemoryDevice>(kSize);
    device->put(0, std::string(4096, 'x')).put(1 * MiB, std::string(64 * 1024, '\0'));
    Bench bench;
    bench.request.shape = PlainDiskRequest();
    ConvertEngine engine;
    engine.open_machine = [&](const Reference&, const SourceRequest&, const std::string&, const OperationContext&) {
        DiskInfo info;
        info.allocated_size = 5 * MiB; // of a source that stores more than its disk holds
        SourceMachine machine;
        machine.disks.push_back({"disk.qcow2", {device, device, info}});
        return machine;
    };
    const auto allocated = [&](DiskFormat format) {
        bench.request.destination = DiskReference{bench.file("d").string(), format};
        bench.request.disk.format = format == DiskFormat::raw ? DiskOutputFormat::raw : DiskOutputFormat::qcow2;
        return std::get<PlainDiskResult>(convert(bench.request, engine, {}).made).disk.allocated_size;
    };
    CHECK(allocated(DiskFormat::raw) == 4096);
    CHECK(allocated(DiskFormat::qcow2) == 64 * KiB);
}

TEST_CASE("what makes no sense for a disk is told before the disk is opened") {
    Bench bench;
    bench.request.shape = PlainDiskRequest{"not for disks", "not for bundles"};
    bench.request.destination = DiskReference{bench.file("d.raw").string(), std::nullopt};
    CHECK_THROWS_WITH(bench.run(), "not for disks");
    CHECK(bench.events.empty());
}

TEST_CASE("plain disks of a machine stand beside the first, and a size is for that one") {
    Bench bench;
    const auto first = test::small_disk("web");
    const auto second = std::make_shared<const EmptyDevice>(3 << 20);
    ConvertEngine engine = bench.engine();
    std::vector<std::uint64_t> booted;
    engine.open_machine = [&](const Reference&, const SourceRequest&, const std::string&, const OperationContext&) {
        SourceMachine machine;
        machine.disks.push_back({"a.raw", {first, first, {}}});
        machine.disks.push_back({"b.raw", {second, second, {}}});
        machine.disks.push_back({"c.raw", {second, second, {}}});
        return machine;
    };
    engine.boot_machine = [&](const BootSubject& subject, const BootRequest& request) {
        booted.push_back(subject.disk->size());
        for (const auto& disk : subject.further_disks)
            booted.push_back(disk->size());
        return bench.engine().boot_machine(subject, request);
    };
    bench.request.shape = PlainDiskRequest();
    bench.request.disk.format = DiskOutputFormat::raw;
    const std::uint64_t grown = first->size() + (1 << 20);
    bench.request.disk.virtual_size = grown;
    bench.request.boot_test.emplace();
    struct Name {
        const char* first;
        const char* second;
        const char* third;
    };
    const Name name = GENERATE(Name{"web.raw", "web-disk2.raw", "web-disk3.raw"}, Name{"web", "web-disk2", "web-disk3"},
                               Name{"web.v1.img", "web.v1-disk2.img", "web.v1-disk3.img"});
    bench.request.destination = DiskReference{bench.file(name.first).string(), DiskFormat::raw};
    const ConvertResult result = convert(bench.request, engine, {});
    CHECK(fs::file_size(bench.file(name.first)) == grown);
    CHECK(fs::file_size(bench.file(name.second)) == second->size());
    CHECK(fs::file_size(bench.file(name.third)) == second->size());
    CHECK(booted == std::vector<std::uint64_t>{grown, second->size(), second->size()});
    const auto& made = std::get<PlainDiskResult>(result.made);
    REQUIRE(made.further_disks.size() == 2);
    CHECK(made.further_disks[1].disk == "c.raw");
    CHECK(made.further_disks[1].path == bench.file(name.third));

    bench.outcome = Outcome::failed;
    bench.request.destination = DiskReference{bench.file("other.raw").string(), DiskFormat::raw};
    CHECK_FALSE(convert(bench.request, engine, {}).is_published());
    CHECK_FALSE(fs::exists(bench.file("other.raw")));
    CHECK_FALSE(fs::exists(bench.file("other-disk2.raw")));
}

TEST_CASE("two outputs of one name are refused") {
    Bench bench;
    bench.request.shape = PlainDiskRequest();
    bench.request.destination = DiskReference{bench.file("d.raw").string(), DiskFormat::raw};
    bench.request.sbom = bench.folder.path() / "." / "d.raw";
    CHECK_THROWS_AS(bench.run(), Error);
    CHECK(fs::is_empty(bench.folder.path()));
}
