#include "formats/base/error.hpp"
#include "formats/partition/partition.hpp"
#include "libconvert/guest/open_guest.hpp"
#include "runner/qemu/arguments.hpp"
#include "runner/report/junit.hpp"
#include "tools/flows/boot.hpp"
#include "tools/flows/described_machine.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace vm2oci {
namespace {

constexpr std::chrono::milliseconds kJunitInterval{1000};

// Keeps a JUnit file up to date, so that a job that is killed has one.
class JunitKeeper final : public BootObserver {
  public:
    JunitKeeper(BootObserver& observer, std::filesystem::path junit) : observer_(observer), junit_(std::move(junit)) {}

    void console(std::string_view bytes) override { observer_.console(bytes); }
    void progress(const BootReport& report) override {
        observer_.progress(report);
        const Clock::time_point now = Clock::now();
        if (junit_.empty() || now < next_)
            return;
        next_ = now + kJunitInterval;
        write_report_file(junit_, boot_report_junit(report));
    }
    std::string input() override { return observer_.input(); }
    bool leave_wanted() override { return observer_.leave_wanted(); }
    int input_fd() const override { return observer_.input_fd(); }

  private:
    using Clock = std::chrono::steady_clock;

    BootObserver& observer_;
    std::filesystem::path junit_;
    Clock::time_point next_{};
};

Firmware firmware_of(const BootRequest& request, const BlockDevice& disk, const MachineAdvice& advice,
                     const DescribedMachine& described) {
    if (request.firmware)
        return *request.firmware;
    if (described.firmware == Firmware::uefi_secure && !find_firmware(Firmware::uefi_secure))
        return Firmware::uefi;
    if (described.firmware)
        return *described.firmware;
    const Firmware firmware = firmware_for(disk);
    return firmware == Firmware::uefi && advice.secure_boot && find_firmware(Firmware::uefi_secure)
               ? Firmware::uefi_secure
               : firmware;
}

// What the guest inside asks for. A disk in which nothing can be read boots, or not, on the default machine.
MachineAdvice look_inside(const BootSubject& subject, const BootRequest& request, const OperationContext& operation) {
    const bool all_given = request.machine && request.disk_bus && request.network_model && request.firmware &&
                           !request.cpu.empty() && !request.ready.empty() && request.root.empty();
    if (all_given || subject.kind != SubjectKind::guest)
        return {};
    try {
        GuestAccess access(GuestBackend::native);
        if (!subject.kernel) // such a disk is the root alone
            access.root = request.root;
        const OpenedGuest guest = open_guest(joined_disks(subject, access), access, operation);
        return guest.guest ? advise_machine(inspect_guest(guest, operation)) : MachineAdvice{};
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::io || error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::usage)
            throw;
        return {};
    }
}

bool is_container(const BootSubject& subject) {
    return subject.kind == SubjectKind::container || subject.kind == SubjectKind::checked_container;
}

bool is_left_to_us(const BootRequest& request, AdviceTopic topic) {
    switch (topic) {
    case AdviceTopic::machine:
        return !request.machine;
    case AdviceTopic::disk:
        return !request.disk_bus;
    case AdviceTopic::network:
        return !request.network_model && request.network != NetworkMode::none;
    case AdviceTopic::processor:
        return request.cpu.empty();
    }
    return true;
}

} // namespace

VmSpec machine_spec(const BootRequest& request, const BootSubject& subject, const MachineAdvice& advice) {
    if (subject.kernel && request.firmware.value_or(Firmware::bios) != Firmware::bios)
        fail(ErrorKind::usage, "a kernel that is booted directly needs no firmware");
    VmSpec spec;
    // A kernel of its own does not have the drivers that advice goes by, but its maker's.
    if (!subject.kernel)
        spec.profile = advice.profile;
    spec.notify = advice.notify;
    for (const AdviceReason& reason : advice.reasons)
        if (!subject.kernel && is_left_to_us(request, reason.topic))
            spec.profile_reasons.push_back(reason.text);
    spec.profile.machine = request.machine.value_or(spec.profile.machine);
    spec.profile.disk = request.disk_bus.value_or(spec.profile.disk);
    spec.profile.network = request.network_model.value_or(spec.profile.network);
    spec.profile.cpu = request.cpu;
    const DescribedMachine described =
        subject.hardware ? described_machine(*subject.hardware, host_resources()) : DescribedMachine{};
    spec.memory = request.memory.value_or(described.memory.value_or(spec.memory));
    // What others give a micro-VM that says nothing; a second one costs an emulator a fourth of its speed.
    const unsigned default_cpus = is_container(subject) ? 1 : spec.cpus;
    spec.cpus = request.cpus.value_or(described.cpus.value_or(default_cpus));
    if (!request.memory || !request.cpus)
        spec.profile_reasons.insert(spec.profile_reasons.end(), described.reasons.begin(), described.reasons.end());
    spec.firmware = subject.kernel ? Firmware::bios : firmware_of(request, *subject.disk, advice, described);
    spec.network = request.network;
    spec.forwards = request.forwards;
    spec.disk = subject.disk;
    spec.sector_size = gpt_sector_size(*subject.disk);
    if (spec.sector_size != 512)
        spec.profile_reasons.push_back(
            fmt::format("the partition table counts sectors of {} bytes: {}", spec.sector_size,
                        spec.profile.disk == DiskBus::virtio ? "the disk has them, as KubeVirt's blockSize gives it"
                                                             : "only virtio disks can have them, and this is none"));
    for (const auto& disk : subject.further_disks)
        spec.further_disks.push_back({disk, gpt_sector_size(*disk)});
    spec.seed = request.seed ? make_seed_disk(*request.seed) : subject.seed;
    spec.kernel = subject.kernel;
    return spec;
}

BootOptions boot_options(const BootRequest& request, const BootSubject& subject, const MachineAdvice& advice) {
    BootOptions result;
    result.source = subject.name;
    result.facts = subject.facts;
    result.policy.by_default = subject.kind == SubjectKind::container           ? DefaultReady::program
                               : subject.kind == SubjectKind::checked_container ? DefaultReady::healthy
                                                                                : advice.ready;
    result.policy.ready = request.ready;
    const bool seeded = request.seed.has_value() || subject.seed != nullptr || advice.has_seed;
    if (request.ready.empty() && seeded && advice.tells_cloud_init)
        result.policy.ready = {
            {ReadySignal::cloud_init, std::nullopt},
            {advice.ready == DefaultReady::agent ? ReadySignal::agent : ReadySignal::login, std::nullopt}};
    result.acceleration = request.acceleration;
    result.backend = request.backend;
    result.timeout = request.timeout;
    result.commands = request.commands;
    result.policy.expected = request.expected;
    result.policy.fail = request.fail;
    result.policy.ignored = request.ignored;
    return result;
}

BootReport boot_subject(const BootSubject& subject, const BootRequest& request, BootObserver& observer,
                        const OperationContext& operation) {
    const MachineAdvice advice = look_inside(subject, request, operation);
    JunitKeeper keeper(observer, request.junit);
    return boot_machine(machine_spec(request, subject, advice), boot_options(request, subject, advice), keeper,
                        operation);
}

} // namespace vm2oci
