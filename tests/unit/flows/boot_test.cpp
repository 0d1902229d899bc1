#include "formats/base/error.hpp"
#include "formats/block/empty.hpp"
#include "runner/judge/rules.hpp"
#include "tests/support/small_disk.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tools/flows/boot.hpp"
#include "tools/flows/convert.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace vm2oci;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

BootReport report_of(const BootSubject& subject, const Rule* reason) {
    BootReport report;
    report.source = subject.name;
    report.verdict.emplace();
    report.verdict->outcome = reason == nullptr ? Outcome::ready : Outcome::failed;
    report.verdict->rule = reason;
    return report;
}

BootSubject subject_of(std::shared_ptr<const BlockDevice> disk) {
    BootSubject subject;
    subject.name = "web01";
    subject.disk = std::move(disk);
    return subject;
}

BootSourceRequest source_of(const fs::path& disk) {
    BootSourceRequest request;
    request.name = disk.filename().string();
    request.reference = DiskReference{disk.string(), DiskFormat::raw};
    return request;
}

MachineAdvice old_guest() {
    MachineAdvice advice;
    advice.profile.machine = MachineType::i440fx;
    advice.profile.disk = DiskBus::ide;
    advice.profile.network = NetworkModel::rtl8139;
    advice.reasons = {{AdviceTopic::machine, "old machine"},
                      {AdviceTopic::disk, "old disk"},
                      {AdviceTopic::network, "old network"},
                      {AdviceTopic::processor, "new processor"}};
    return advice;
}

} // namespace

TEST_CASE("a machine is what the guest asks for, unless the request says otherwise") {
    const BootSubject subject = subject_of(std::make_shared<EmptyDevice>(1024 * 1024));
    BootRequest request;
    const VmSpec advised = machine_spec(request, subject, old_guest());
    CHECK(advised.profile.disk == DiskBus::ide);
    // Without a network the interface needs no reason.
    CHECK(advised.profile_reasons == std::vector<std::string>{"old machine", "old disk", "new processor"});

    request.disk_bus = DiskBus::sata;
    request.network = NetworkMode::user;
    request.cpu = "max";
    request.memory = 3 * GiB;
    const VmSpec asked = machine_spec(request, subject, old_guest());
    CHECK(asked.profile.disk == DiskBus::sata);
    CHECK(asked.profile.machine == MachineType::i440fx);
    CHECK(asked.profile.cpu == "max");
    CHECK(asked.memory == 3 * GiB);
    CHECK(asked.profile_reasons == std::vector<std::string>{"old machine", "old network"});
}

TEST_CASE("a kernel that is booted directly takes no advice and no firmware") {
    BootSubject subject = subject_of(std::make_shared<EmptyDevice>(1024 * 1024));
    subject.kernel.emplace();
    BootRequest request;
    CHECK(machine_spec(request, subject, old_guest()).profile.disk == DiskBus::virtio);
    CHECK(machine_spec(request, subject, old_guest()).profile_reasons.empty());
    request.firmware = Firmware::uefi;
    CHECK_THROWS_AS(machine_spec(request, subject, {}), Error);
    request.firmware = Firmware::bios;
    CHECK_NOTHROW(machine_spec(request, subject, {}));
}

TEST_CASE("a guest with a seed is ready when cloud-init is done, if nothing else is asked for") {
    MachineAdvice advice;
    advice.tells_cloud_init = true;
    BootSubject subject = subject_of(std::make_shared<EmptyDevice>(1024 * 1024));
    BootRequest request;
    CHECK(boot_options(request, subject, advice).policy.ready.empty());
    request.seed = SeedFiles{"#cloud-config\n", "instance-id: a\n", {}, {}};
    const std::vector<ReadyCondition> ready = boot_options(request, subject, advice).policy.ready;
    REQUIRE(ready.size() == 2);
    CHECK(ready[0].signal == ReadySignal::cloud_init);
    CHECK(ready[1].signal == ReadySignal::login);
    request.ready = {{ReadySignal::agent, std::nullopt}};
    CHECK(boot_options(request, subject, advice).policy.ready.size() == 1);
}

TEST_CASE("reports appear whatever the verdict is, and what is none is an error beside them") {
    const test::TemporaryFolder folder;
    test::write_small_disk(folder.path() / "disk.raw", "web");
    BootCommand command{source_of(folder.path() / "disk.raw"), {}, {}};
    command.request.junit = folder.path() / "junit.xml";
    command.request.report_folder = folder.path() / "new" / "report";
    Rule rule = kernel_rules()[0];
    std::string seen;
    const auto machine = [&](const BootSubject& subject, const BootRequest&) {
        seen = text_of(folder.path() / "junit.xml");
        return report_of(subject, &rule);
    };
    CHECK_FALSE(boot(command, machine, {}).passed());
    CHECK(seen.empty());
    for (const char* name : {"junit.xml", "new/report/junit.xml", "new/report/boot.json", "new/report/report.html",
                             "new/report/console.log"})
        CHECK(fs::exists(folder.path() / name));
    CHECK_FALSE(fs::exists(folder.path() / "new/report/screenshot.png"));

    for (const auto& [id, kind] :
         {std::pair("hypervisor-died", ErrorKind::external), std::pair("disk-read-error", ErrorKind::corrupt)}) {
        rule.id = id;
        fs::remove_all(folder.path() / "new");
        try {
            boot(command, machine, {});
            FAIL("no error for " << id);
        } catch (const Error& error) {
            CHECK(error.kind() == kind);
        }
        CHECK(fs::exists(folder.path() / "new/report/boot.json"));
    }
}

TEST_CASE("a report that cannot be written stops a boot before it begins") {
    const test::TemporaryFolder folder;
    test::write_small_disk(folder.path() / "disk.raw", "web");
    std::ofstream(folder.path() / "file") << "a file";
    unsigned boots = 0;
    const auto machine = [&](const BootSubject& subject, const BootRequest&) {
        ++boots;
        return report_of(subject, nullptr);
    };
    BootCommand command{source_of(folder.path() / "disk.raw"), {}, {}};
    command.request.junit = folder.path() / "missing" / "junit.xml";
    CHECK_THROWS_AS(boot(command, machine, {}), Error);
    command.request.junit.clear();
    command.request.report_folder = folder.path() / "file";
    CHECK_THROWS_AS(boot(command, machine, {}), Error);
    CHECK(boots == 0);
    // A JUnit file that is the folder's own is one file.
    command.request.report_folder = folder.path() / "report";
    command.request.junit = folder.path() / "report" / "." / "junit.xml";
    CHECK(boot(command, machine, {}).passed());
    CHECK(boots == 1);
    CHECK(fs::exists(folder.path() / "report/junit.xml"));
}

TEST_CASE("a machine in several images is booted with all of its disks, and with those that are given") {
    const test::TemporaryFolder folder;
    test::write_small_disk(folder.path() / "first.raw", "web");
    std::ofstream(folder.path() / "second.raw", std::ios::binary) << std::string(1 << 20, 's');
    std::ofstream(folder.path() / "third.raw", std::ios::binary) << std::string(2 << 20, 't');
    ConvertRequest conversion;
    conversion.source = DiskReference{(folder.path() / "first.raw").string(), DiskFormat::raw};
    conversion.from.disks = {"raw:" + (folder.path() / "second.raw").string()};
    conversion.destination = ImageReference(LayoutReference{folder.path() / "layout", "web"});
    conversion.shape = ContainerDiskRequest();
    convert(conversion, {}, {});
    std::vector<std::uint64_t> sizes;
    const auto machine = [&](const BootSubject& subject, const BootRequest&) {
        sizes.clear();
        for (const auto& disk : subject.further_disks)
            sizes.push_back(disk->size());
        return report_of(subject, nullptr);
    };
    const auto boot_image = [&](const std::string& tag, std::vector<std::string> given) {
        BootCommand command;
        command.source.reference = ImageReference(LayoutReference{folder.path() / "layout", tag});
        command.source.source.disks = std::move(given);
        return boot(command, machine, {});
    };
    boot_image("web", {});
    CHECK(sizes == std::vector<std::uint64_t>{1 << 20});
    boot_image("web", {"raw:" + (folder.path() / "third.raw").string()});
    CHECK(sizes == std::vector<std::uint64_t>{1 << 20, 2 << 20});
    boot_image("web-disk2", {});
    CHECK(sizes.empty());
    CHECK_THROWS_AS(boot_image("web", {"oci:x:y"}), Error);
}

TEST_CASE("the original has the machine's further disks, too, if it is a plain disk") {
    const test::TemporaryFolder folder;
    const auto raw = [&](const std::string& name) { return "raw:" + (folder.path() / name).string(); };
    test::write_small_disk(folder.path() / "first.raw", "web");
    std::ofstream(folder.path() / "second.raw", std::ios::binary) << std::string(1 << 20, 's');
    std::ofstream(folder.path() / "third.raw", std::ios::binary) << std::string(2 << 20, 't');
    const auto make_image = [&](const std::string& tag, std::vector<std::string> disks) {
        ConvertRequest conversion;
        conversion.source = DiskReference{(folder.path() / "first.raw").string(), DiskFormat::raw};
        conversion.from.disks = std::move(disks);
        const ImageReference image = LayoutReference{folder.path() / "layout", tag};
        conversion.destination = image;
        conversion.shape = ContainerDiskRequest();
        convert(conversion, {}, {});
        return image;
    };
    const ImageReference one = make_image("one", {}), two = make_image("two", {raw("third.raw")});
    using Sizes = std::vector<std::uint64_t>;
    std::vector<Sizes> booted; // original, source
    const auto machine = [&](const BootSubject& subject, const BootRequest&) {
        Sizes sizes;
        for (const auto& disk : subject.further_disks)
            sizes.push_back(disk->size());
        booted.push_back(sizes);
        return report_of(subject, nullptr);
    };
    const auto compare = [&](const Reference& source, const Reference& original) {
        BootCommand command;
        command.source.reference = source;
        command.source.source.disks = {raw("second.raw")};
        command.original = command.source;
        command.original->reference = original;
        booted.clear();
        boot(command, machine, {});
        return booted;
    };
    const DiskReference plain{(folder.path() / "first.raw").string(), DiskFormat::raw};
    CHECK(compare(one, plain) == std::vector<Sizes>{{1 << 20}, {1 << 20}});
    CHECK(compare(one, two) == std::vector<Sizes>{{2 << 20}, {1 << 20}});
    CHECK(compare(two, plain) == std::vector<Sizes>{{1 << 20}, {2 << 20, 1 << 20}});
}
