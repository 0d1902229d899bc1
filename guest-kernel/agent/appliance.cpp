#include "guest-kernel/agent/appliance.hpp"

#include "formats/appliance/answer.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"

#include "guest-kernel/agent/growing.hpp"
#include "guest-kernel/agent/mounted_editor.hpp"
#include "guest-kernel/agent/mounting.hpp"
#include "guest-kernel/agent/port.hpp"
#include "guest-kernel/agent/text.hpp"
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <thread>

namespace vm2oci::guest {
namespace {

constexpr std::size_t kContentStep = 1024ull * 1024;
constexpr std::chrono::milliseconds kDeviceWait{20000};
constexpr std::chrono::milliseconds kDeviceInterval{20};
constexpr const char* kMounts = "/volumes";

// A part of the job's disk.
class JobContent final : public FileContent {
  public:
    JobContent(int disk, const JobStep& step, std::function<void()> alive)
        : disk_(disk), step_(step), alive_(std::move(alive)) {}

    void copy_to(ByteSink& out) const override {
        std::vector<std::byte> buffer(
            static_cast<std::size_t>(std::min<std::uint64_t>(kContentStep, step_.content_size)));
        for (std::uint64_t done = 0; done < step_.content_size; done += buffer.size()) {
            buffer.resize(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), step_.content_size - done)));
            read_exactly_at(disk_, step_.content_offset + done, buffer);
            out.write(buffer);
            alive_();
        }
    }

  private:
    int disk_;
    const JobStep& step_;
    std::function<void()> alive_;
};

void carry_out_step(const JobStep& step, MountedEditor& editor, const MountedVolume& volume, int contents,
                    const std::function<void()>& alive) {
    const JobContent content(contents, step, alive);
    switch (step.kind) {
    case JobStepKind::write_file:
        return editor.write_file(step.path, step.content_size, content, step.attributes);
    case JobStepKind::append_file:
        return editor.append_content(step.path, content);
    case JobStepKind::make_folder:
        return editor.make_folder(step.path, step.attributes);
    case JobStepKind::make_symlink:
        return editor.make_symlink(step.path, step.link_target, step.attributes.selinux_label);
    case JobStepKind::remove:
        return editor.remove(step.path);
    case JobStepKind::grow:
        return grow_file_system(editor.folder(), volume.type, volume.size);
    case JobStepKind::trim:
        return trim_file_system(editor.folder());
    }
}

// Inodes bear the clock's time, and equal jobs should make equal file systems. What a file's own times are is set
// apart, so a time that a clock cannot have is no error: none is before the machine's start.
void set_clock(std::int64_t time) {
    timespec running{};
    ::clock_gettime(CLOCK_MONOTONIC, &running);
    const timeval now{std::max<time_t>(static_cast<time_t>(time), running.tv_sec + 1), 0};
    (void)::settimeofday(&now, nullptr);
}

// The disks of the machine by their serial numbers; the job's has none.
std::string find_disk(const std::string& serial) {
    const auto deadline = std::chrono::steady_clock::now() + kDeviceWait;
    do {
        for (const std::string& name : list_folder("/sys/block"))
            if (name.starts_with("vd") && trim(read_text("/sys/block/" + name + "/serial", 64).value_or("")) == serial)
                return "/dev/" + name;
        std::this_thread::sleep_for(kDeviceInterval);
    } while (std::chrono::steady_clock::now() < deadline);
    fail(ErrorKind::external, "the appliance has no disk " + quote_untrusted(serial));
}

UniqueFd open_disk_node(const std::string& node) {
    UniqueFd disk(::open(node.c_str(), O_RDWR | O_CLOEXEC));
    if (!disk && errno == EROFS)
        disk = UniqueFd(::open(node.c_str(), O_RDONLY | O_CLOEXEC));
    if (!disk)
        fail_number("cannot open " + node, errno);
    return disk;
}

std::uint64_t size_of(const UniqueFd& disk) {
    const off_t end = ::lseek(disk.get(), 0, SEEK_END);
    if (end < 0)
        fail_number("cannot learn the size of a disk", errno);
    return static_cast<std::uint64_t>(end);
}

ApplianceJob read_job(const UniqueFd& disk) {
    std::string header(kJobHeaderSize, '\0');
    read_exactly_at(disk.get(), 0, std::as_writable_bytes(std::span(header)));
    const JobPlace place = decode_job_header(header, size_of(disk));
    std::string list(static_cast<std::size_t>(place.size), '\0');
    read_exactly_at(disk.get(), place.offset, std::as_writable_bytes(std::span(list)));
    return decode_job(list);
}

std::string mount_point_of(std::size_t volume) {
    return kMounts + ("/" + std::to_string(volume));
}

MountedVolume mount_volume(const JobVolume& volume, std::size_t index, const std::string& node) {
    const std::string target = mount_point_of(index);
    if (::mkdir(target.c_str(), 0700) != 0)
        fail_number("cannot make a mount point", errno);
    if (::mount(node.c_str(), target.c_str(), volume.type.c_str(), MS_NOATIME | MS_NODEV | MS_NOSUID | MS_NOEXEC,
                volume.options.c_str()) != 0)
        fail_number("cannot mount it as " + volume.type, errno);
    UniqueFd folder(::open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder)
        fail_number("cannot open what was mounted", errno);
    return {std::move(folder), volume.type, volume.size};
}

// Tells the host, which may not listen yet: the port is not opened for it twice.
class Host {
  public:
    Host() : port_(::open(find_port().c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY)) {
        if (!port_)
            fail_number("the appliance cannot talk to its host", errno);
    }
    void tell(const ApplianceAnswer& answer) const { write_exactly(port_.get(), as_bytes(encode_answer(answer))); }

  private:
    UniqueFd port_;
};

void run_job(const Host& host, std::optional<std::uint32_t>& current) {
    const UniqueFd job_disk = open_disk_node(find_disk(""));
    const ApplianceJob job = read_job(job_disk);
    set_clock(job.time);
    if (::mkdir(kMounts, 0700) != 0)
        fail_number("cannot make a folder for mounts", errno);
    std::map<std::uint32_t, UniqueFd> disks;
    std::vector<MountedVolume> mounted;
    for (std::size_t i = 0; i < job.volumes.size(); ++i)
        with_context("volume " + std::to_string(i + 1), [&] {
            const std::uint32_t disk = job.volumes[i].disk;
            const std::string node = find_disk("volume" + std::to_string(disk));
            if (disks.count(disk) == 0)
                disks.emplace(disk, open_disk_node(node));
            mounted.push_back(mount_volume(job.volumes[i], i, node));
        });
    carry_out(job, mounted, job_disk.get(), [&](std::uint32_t step) {
        set_clock(job.time);
        current = step;
        ApplianceAnswer answer;
        answer.step = step;
        host.tell(answer);
    });
    current.reset();
    mounted.clear();
    for (std::size_t i = 0; i < job.volumes.size(); ++i)
        if (::umount(mount_point_of(i).c_str()) != 0)
            fail_number("cannot unmount", errno);
    for (const auto& [number, disk] : disks)
        // The disk's own cache, and an error that nobody has heard of yet.
        if (::fsync(disk.get()) != 0)
            fail_number("cannot write a disk", errno);
    ApplianceAnswer done;
    done.kind = AnswerKind::done;
    host.tell(done);
}

} // namespace

void carry_out(const ApplianceJob& job, std::vector<MountedVolume>& volumes, int contents,
               const std::function<void(std::uint32_t)>& begin) {
    std::vector<std::unique_ptr<MountedEditor>> editors;
    for (const MountedVolume& volume : volumes) {
        UniqueFd copy(::fcntl(volume.folder.get(), F_DUPFD_CLOEXEC, 0));
        if (!copy)
            fail_number("cannot open a folder again", errno);
        editors.push_back(std::make_unique<MountedEditor>(std::move(copy), job.time));
    }
    for (std::uint32_t i = 0; i < job.steps.size(); ++i) {
        const JobStep& step = job.steps[i];
        begin(i);
        carry_out_step(step, *editors[step.volume], volumes[step.volume], contents, [&] { begin(i); });
    }
    for (const auto& editor : editors)
        editor->finish();
}

void run_appliance() {
    try {
        const Host host;
        std::optional<std::uint32_t> current;
        try {
            run_job(host, current);
        } catch (const Error& error) {
            host.tell({AnswerKind::failed, current, error.kind(), error.what()});
        } catch (const std::exception& error) {
            host.tell({AnswerKind::failed, current, ErrorKind::external, error.what()});
        }
    } catch (const std::exception& error) {
        const std::string text = std::string("vm2oci-appliance: ") + error.what() + "\n";
        (void)!::write(STDERR_FILENO, text.data(), text.size());
    }
    // What was said is in the port's queue, which goes with the machine.
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    ::reboot(RB_POWER_OFF);
    ::_exit(1);
}

} // namespace vm2oci::guest
