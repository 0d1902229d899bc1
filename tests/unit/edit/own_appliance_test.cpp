// Plans that go to vm2oci's appliance: what it is asked, and what becomes of its answers.
#include "formats/appliance/job.hpp"
#include "formats/base/error.hpp"
#include "formats/block/overlay.hpp"
#include "formats/luks/volume.hpp"
#include "libconvert/edit/apply.hpp"
#include "libconvert/edit/grow_guest.hpp"
#include "tests/support/luks_builder.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/xfs_builder.hpp"

#include <catch2/catch.hpp>

#include <array>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr std::uint64_t kEtc = 9;
constexpr std::uint64_t kFstab = 10;
constexpr std::uint64_t kEmpty = 11;

// The file system fills the whole disk.
std::shared_ptr<const BlockDevice> xfs_root() {
    using Name = XfsBuilder::Name;
    XfsBuilder made;
    made.take(16);
    const std::string fstab = "UUID=d5d5d5d5-d5d5-d5d5-d5d5-d5d5d5d5d5d5 / xfs defaults 0 0\n";
    std::copy_n(reinterpret_cast<const std::byte*>(fstab.data()), fstab.size(), made.block(64));
    made.add_inode(kFstab, 0100644, 2, XfsBuilder::extent_list(std::array{XfsBuilder::Extent{0, 64, 1}}), fstab.size(),
                   1);
    made.add_inode(kEmpty, 0100644, 2, {}, 0, 0, 3);
    const std::vector<Name> in_etc{{"fstab", kFstab}, {"group", kEmpty}, {"os-release", kEmpty}, {"passwd", kEmpty}};
    const std::vector<std::byte> etc = made.short_folder(XfsBuilder::kRoot, in_etc);
    made.add_inode(kEtc, 040755, 1, etc, etc.size(), 0, 2);
    const std::vector<Name> in_root{{"etc", kEtc, 2}};
    const std::vector<std::byte> root = made.short_folder(XfsBuilder::kRoot, in_root);
    made.add_inode(XfsBuilder::kRoot, 040755, 1, root, root.size(), 0, 3);
    made.finish();
    return made.device();
}

// Remembers what it was asked, writes a word to each volume, and answers as it is told.
class FakeAppliance final : public ApplianceMachine {
  public:
    std::optional<std::string> obstacle() const override { return missing; }
    ApplianceAnswer run(const std::shared_ptr<const BlockDevice>& disk, const std::vector<ApplianceVolume>& volumes,
                        const OperationContext&) const override {
        ++runs;
        CHECK(disk->size() % 512 == 0);
        std::string header(kJobHeaderSize, '\0');
        disk->read_at(0, std::as_writable_bytes(std::span(header)));
        const JobPlace place = decode_job_header(header, disk->size());
        std::string list(place.size, '\0');
        disk->read_at(place.offset, std::as_writable_bytes(std::span(list)));
        job = decode_job(list);
        for (const JobStep& step : job.steps) {
            CHECK((step.content_size == 0 || step.content_offset % kJobContentAlignment == 0));
            std::string content(step.content_size, '\0');
            disk->read_at(step.content_offset, std::as_writable_bytes(std::span(content)));
            contents.push_back(content);
        }
        for (const ApplianceVolume& volume : volumes) {
            volume.changes->write_at(volume.device->size() - 5, as_bytes("word!"));
            std::string read(5, '\0');
            volume.device->read_at(volume.device->size() - 5, std::as_writable_bytes(std::span(read)));
            CHECK(read == "word!");
        }
        volume_count = volumes.size();
        return answer;
    }

    std::optional<std::string> missing;
    ApplianceAnswer answer{AnswerKind::done, std::nullopt, ErrorKind::external, ""};
    mutable int runs = 0;
    mutable ApplianceJob job;
    mutable std::vector<std::string> contents;
    mutable std::size_t volume_count = 0;
};

struct Edited {
    std::shared_ptr<const BlockDevice> disk = xfs_root();
    std::shared_ptr<OverlayDevice> overlay = std::make_shared<OverlayDevice>(disk);
    std::shared_ptr<FakeAppliance> machine = std::make_shared<FakeAppliance>();

    std::string apply(const EditPlan& plan, GuestBackend backend, std::int64_t time = 0) {
        GuestAccess access(backend);
        access.machine = machine;
        OpenedGuest opened = open_guest(overlay, access, {});
        REQUIRE(opened.guest);
        return apply_edits(plan, opened, overlay, {access, time}, {});
    }
};

EditPlan sample_plan() {
    EditPlan plan;
    Edit folder;
    folder.kind = EditKind::make_folder;
    folder.path = "/etc/cloud";
    Edit file;
    file.path = "/etc/cloud/seed";
    file.content = "seed";
    file.size = 4;
    file.attributes = {0600, 1, 2, "a:b:c:s0"};
    Edit append;
    append.kind = EditKind::append_file;
    append.path = "/etc/fstab";
    append.content = "more\n";
    append.size = 5;
    Edit link;
    link.kind = EditKind::make_symlink;
    link.path = "/etc/link";
    link.link_target = "fstab";
    Edit gone;
    gone.kind = EditKind::remove;
    gone.path = "/etc/group";
    plan.edits = {folder, file, append, link, gone};
    return plan;
}

Error failure(Edited& edited, GuestBackend backend = GuestBackend::automatic) {
    try {
        edited.apply(sample_plan(), backend);
    } catch (const Error& error) {
        return error;
    }
    FAIL("it went well");
    return Error(ErrorKind::usage, "");
}

} // namespace

TEST_CASE("a plan for xfs becomes one job on one volume") {
    Edited edited;
    CHECK(edited.apply(sample_plan(), GuestBackend::automatic, 77) == "appliance");
    CHECK(edited.machine->runs == 1);
    CHECK(edited.machine->volume_count == 1);
    const ApplianceJob& job = edited.machine->job;
    CHECK(job.time == 77);
    REQUIRE(job.volumes.size() == 1);
    CHECK(job.volumes[0].type == "xfs");
    CHECK(job.volumes[0].size == edited.disk->size());
    CHECK(job.volumes[0].options.find("nouuid") != std::string::npos);
    REQUIRE(job.steps.size() == 5);
    CHECK(job.steps[0].kind == JobStepKind::make_folder);
    CHECK(job.steps[0].path == "etc/cloud");
    CHECK(job.steps[1].kind == JobStepKind::write_file);
    CHECK(edited.machine->contents[1] == "seed");
    CHECK(job.steps[1].attributes.permissions == 0600U);
    CHECK(job.steps[1].attributes.uid == 1U);
    CHECK(job.steps[1].attributes.gid == 2U);
    CHECK(job.steps[1].attributes.selinux_label == "a:b:c:s0");
    CHECK(job.steps[2].kind == JobStepKind::append_file);
    CHECK(edited.machine->contents[2] == "more\n");
    CHECK(job.steps[3].link_target == "fstab");
    CHECK(job.steps[4].kind == JobStepKind::remove);
    // What it wrote is in the overlay, and the disk is as it was.
    std::string word(5, '\0');
    edited.overlay->read_at(edited.overlay->size() - 5, std::as_writable_bytes(std::span(word)));
    CHECK(word == "word!");
    edited.disk->read_at(edited.disk->size() - 5, std::as_writable_bytes(std::span(word)));
    CHECK(word != "word!");
}

TEST_CASE("no plan, no machine") {
    Edited edited;
    CHECK(edited.apply({}, GuestBackend::appliance) == "none");
    CHECK(edited.machine->runs == 0);
}

TEST_CASE("a failed step has its path and its kind, and libguestfs as a hint") {
    Edited edited;
    edited.machine->answer = {AnswerKind::failed, 1, ErrorKind::limit, "cannot write: full"};
    const Error error = failure(edited);
    CHECK(error.kind() == ErrorKind::limit);
    CHECK(std::string(error.what()).find("/etc/cloud/seed") != std::string::npos);
    CHECK(std::string(error.what()).find("cannot write: full") != std::string::npos);
    CHECK(error.hint().kind == HintKind::none); // libguestfs would find it full, too
    edited.machine->answer = {AnswerKind::failed, std::nullopt, ErrorKind::unsupported, "cannot mount it"};
    CHECK(failure(edited).hint().kind == HintKind::guest_backend);
    // One before all steps, and one of a machine that counts beyond them.
    for (const std::optional<std::uint32_t> step :
         {std::optional<std::uint32_t>(), std::optional(5U), std::optional(~0U)}) {
        edited.machine->answer = {AnswerKind::failed, step, ErrorKind::corrupt, "cannot mount it"};
        CHECK(failure(edited).kind() == ErrorKind::corrupt);
    }
}

TEST_CASE("what is not installed is told, with what to do") {
    Edited edited;
    edited.machine->missing = "run this";
    const Error error = failure(edited, GuestBackend::appliance);
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(std::string(error.what()).find("run this") != std::string::npos);
    edited.machine = nullptr;
    CHECK(failure(edited, GuestBackend::appliance).kind() == ErrorKind::unsupported);
}

TEST_CASE("natively means without a machine") {
    Edited edited;
    CHECK(failure(edited, GuestBackend::native).kind() == ErrorKind::unsupported);
    CHECK(edited.machine->runs == 0);
}

TEST_CASE("the words for backends") {
    CHECK(parse_guest_backend("appliance") == GuestBackend::appliance);
    CHECK_THROWS_WITH(parse_guest_backend("kernel"), Catch::Matchers::Contains("appliance"));
}

TEST_CASE("a larger disk has its file system grown, and one that cannot be is told and left") {
    const std::shared_ptr<const BlockDevice> disk = xfs_root();
    const std::uint64_t size = disk->size() + (1 << 20);
    const auto machine = std::make_shared<FakeAppliance>();
    GuestAccess access;
    access.machine = machine;
    const auto last_word = [&](const GrownDisk& grown) {
        std::string word(5, '\0');
        grown.device->read_at(size - 5, std::as_writable_bytes(std::span(word)));
        return word;
    };
    const GrownDisk grown = grow_guest(disk, size, access, {});
    CHECK(grown.device->size() == size);
    REQUIRE(machine->job.steps.size() == 1);
    CHECK(machine->job.steps[0].kind == JobStepKind::grow);
    CHECK(machine->job.volumes.at(0).size == size);
    CHECK(machine->job.volumes.at(0).type == "xfs");
    CHECK(last_word(grown) == "word!");
    REQUIRE(grown.remarks.size() == 1);
    CHECK(grown.remarks[0].find("fills its volume") != std::string::npos);

    // What a machine wrote that then failed is dropped.
    machine->answer = {AnswerKind::failed, 0, ErrorKind::corrupt, "cannot grow it"};
    const GrownDisk failed = grow_guest(disk, size, access, {});
    CHECK(last_word(failed) == std::string(5, '\0'));
    CHECK(failed.remarks.at(0).find("cannot grow it") != std::string::npos);

    machine->missing = "run this";
    machine->runs = 0;
    CHECK(grow_guest(disk, size, access, {}).remarks.at(0).find("run this") != std::string::npos);
    access.backend = GuestBackend::native;
    machine->missing.reset();
    CHECK(grow_guest(disk, size, access, {}).device->size() == size);
    CHECK(machine->runs == 0);

    const auto empty = std::make_shared<MemoryDevice>(1 << 20);
    CHECK(grow_guest(empty, 1 << 21, access, {}).remarks.size() == 1);
}

TEST_CASE("what LUKS encrypts is changed and grown where a key opens it, and nothing of it is written as it is") {
    const std::shared_ptr<const BlockDevice> inner = xfs_root();
    const std::uint64_t size = inner->size();
    LuksBytes content(static_cast<std::size_t>(size));
    inner->read_at(0, content);
    luks_encrypt(content, luks_volume_key(), 512, 0);
    LuksBytes header(kLuksData);
    make_luks_1()->read_at(0, header);
    const auto disk = std::make_shared<MemoryDevice>(kLuksData + size);
    disk->put(0, header);
    disk->put(kLuksData, content);
    const auto word_at = [](const BlockDevice& device, std::uint64_t end) {
        std::string word(5, '\0');
        device.read_at(end - 5, std::as_writable_bytes(std::span(word)));
        return word;
    };
    const std::vector<std::string_view> keys{kLuksPassphrase};
    const auto machine = std::make_shared<FakeAppliance>();
    GuestAccess access(GuestBackend::automatic, {{"all", std::string(kLuksPassphrase)}});
    access.machine = machine;

    const auto overlay = std::make_shared<OverlayDevice>(disk);
    access.changes = overlay;
    OpenedGuest opened = open_guest(overlay, access, {});
    REQUIRE(opened.guest);
    CHECK(opened.backend == "native");
    CHECK(apply_edits(sample_plan(), opened, overlay, {access, 0}, {}) == "appliance");
    CHECK(machine->job.volumes.at(0).size == size);
    CHECK(word_at(*open_luks(overlay, keys).device, size) == "word!");
    CHECK(word_at(*overlay, overlay->size()) != "word!");

    access.changes.reset();
    const std::uint64_t more = 1 << 20;
    const GrownDisk grown = grow_guest(disk, disk->size() + more, access, {});
    CHECK(machine->job.volumes.at(0).size == size + more);
    CHECK(machine->job.volumes.at(0).type == "xfs");
    REQUIRE(machine->job.steps.size() == 1);
    CHECK(machine->job.steps[0].kind == JobStepKind::grow);
    CHECK(word_at(*open_luks(grown.device, keys).device, size + more) == "word!");
    CHECK(word_at(*grown.device, grown.device->size()) != "word!");

    machine->runs = 0;
    access.keys.clear();
    const GrownDisk closed = grow_guest(disk, disk->size() + more, access, {});
    REQUIRE(closed.remarks.size() == 1);
    CHECK(closed.remarks[0].find("keeps its size until the guest grows it: there is no key") != std::string::npos);
    CHECK(machine->runs == 0);
}
