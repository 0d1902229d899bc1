#include "runner/qemu/machine.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "runner/qemu/arguments.hpp"
#include "runner/qemu/picture.hpp"
#include "runner/qemu/usernet.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <utility>

namespace vm2oci {

namespace {

constexpr std::uint64_t kTouchBlock = 64 * KiB;
constexpr int kPictureFd = 9;
// A full-screen picture in VGA's largest mode is 12 MiB; more is nothing that QEMU should have written.
constexpr std::uint64_t kMaxPicture = 64 * MiB;
// The largest initramfs of a distribution has 200 MiB, with everything in it.
constexpr std::uint64_t kMaxBootFile = 1 * GiB;
// QEMU sends a console byte by byte: each would wake us, and that costs a boot more than reading them together.
constexpr int kGatherMilliseconds = 5;
constexpr int kPollMilliseconds = 100;

// What has arrived; empty: nothing.
std::string receive(int fd) {
    std::array<char, 16384> buffer{};
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

// Writes what the socket takes and removes it from the front.
void drain(int fd, std::string& bytes) {
    if (bytes.empty())
        return;
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        bytes.erase(0, static_cast<std::size_t>(n));
    else if (errno != EAGAIN && errno != EINTR)
        bytes.clear();
}

struct SocketPair {
    UniqueFd ours;
    UniqueFd theirs;
};

SocketPair make_sockets() {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        fail_errno("cannot make a socket", errno);
    SocketPair pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
    ::fcntl(pair.ours.get(), F_SETFL, O_NONBLOCK);
    return pair;
}

struct PipeEnds {
    UniqueFd reader; // does not block
    UniqueFd writer;
};

PipeEnds make_serial_output() {
    constexpr int room = 1 << 20; // what anybody may ask for, unless he has many pipes
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0)
        fail_errno("cannot make a pipe", errno);
    PipeEnds pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
    ::fcntl(pipe.reader.get(), F_SETFL, O_NONBLOCK);
    ::fcntl(pipe.writer.get(), F_SETPIPE_SZ, room);
    return pipe;
}

FirmwareFiles require_firmware(Firmware firmware) {
    const std::optional<FirmwareFiles> files = find_firmware(firmware);
    if (!files)
        fail(ErrorKind::external, "UEFI firmware for virtual machines is not installed (on Debian: package ovmf)");
    return *files;
}

// A private copy that only the process will see.
UniqueFd copy_variables(const std::string& path, const std::filesystem::path& scratch_folder) {
    UniqueFd copy = scratch_file(scratch_folder);
    if (path.empty())
        return copy;
    const UniqueFd original = open_read(path);
    std::vector<std::byte> bytes(file_size(original.get()));
    read_exactly_at(original.get(), 0, bytes);
    write_exactly_at(copy.get(), 0, bytes);
    return copy;
}

// A copy of a kernel or an initramfs, which QEMU can only read from a file. Error{limit}.
UniqueFd copy_boot_file(const BlockDevice& content, const std::filesystem::path& scratch_folder) {
    if (content.size() > kMaxBootFile)
        fail(ErrorKind::limit, fmt::format("the kernel or initramfs has {}, and more than {} is none",
                                           format_size(content.size()), format_size(kMaxBootFile)));
    UniqueFd copy = scratch_file(scratch_folder);
    std::vector<std::byte> buffer(kTouchBlock);
    for (std::uint64_t offset = 0; offset < content.size(); offset += buffer.size()) {
        buffer.resize(std::min<std::uint64_t>(kTouchBlock, content.size() - offset));
        content.read_at(offset, buffer);
        write_exactly_at(copy.get(), offset, buffer);
    }
    return copy;
}

// QEMU takes a descriptor of a set only if its access mode is the one that it wants.
UniqueFd open_for_writing(const UniqueFd& file) {
    const std::string path = "/proc/self/fd/" + std::to_string(file.get());
    UniqueFd writer(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!writer)
        fail_errno("cannot open a scratch file", errno);
    return writer;
}

// What QEMU itself loads; none: the disk's boot loader does.
struct BootFiles {
    UniqueFd kernel;
    UniqueFd initramfs;
};

BootFiles copy_boot_files(const VmSpec& spec, const std::filesystem::path& scratch_folder) {
    BootFiles files;
    if (spec.kernel)
        files.kernel = copy_boot_file(*spec.kernel->image, scratch_folder);
    if (spec.kernel && spec.kernel->initramfs)
        files.initramfs = copy_boot_file(*spec.kernel->initramfs, scratch_folder);
    return files;
}

} // namespace

class CountingDevice final : public BlockDevice {
  public:
    explicit CountingDevice(std::shared_ptr<const BlockDevice> base)
        : base_(std::move(base)), blocks_(divide_up(base_->size(), kTouchBlock)), touched_(divide_up(blocks_, 64)) {}

    std::uint64_t size() const override { return base_->size(); }
    Extent extent_at(std::uint64_t offset) const override { return base_->extent_at(offset); }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        base_->read_at(offset, buffer);
        if (buffer.empty())
            return;
        read_.fetch_add(buffer.size(), std::memory_order_relaxed);
        const std::uint64_t last = (offset + buffer.size() - 1) / kTouchBlock;
        for (std::uint64_t block = offset / kTouchBlock; block <= last; ++block)
            touched_[block / 64].fetch_or(std::uint64_t{1} << (block % 64), std::memory_order_relaxed);
    }

    std::uint64_t bytes_read() const { return read_.load(std::memory_order_relaxed); }
    std::uint64_t bytes_touched() const {
        std::uint64_t count = 0;
        for (const auto& word : touched_)
            count += static_cast<std::uint64_t>(__builtin_popcountll(word.load(std::memory_order_relaxed)));
        return std::min(count * kTouchBlock, base_->size());
    }

  private:
    std::shared_ptr<const BlockDevice> base_;
    std::uint64_t blocks_;
    mutable std::vector<std::atomic<std::uint64_t>> touched_; // one bit for each block
    mutable std::atomic<std::uint64_t> read_{0};
};

QemuMachine::ServedDisk QemuMachine::serve(const std::shared_ptr<const BlockDevice>& disk,
                                           const std::filesystem::path& scratch_folder) {
    ServedDisk served;
    served.image = std::make_shared<CountingDevice>(disk);
    // A disk of QEMU's has whole sectors.
    served.overlay = std::make_shared<OverlayDevice>(served.image, align_up(disk->size(), 512), scratch_folder);
    served.server = std::make_unique<NbdServer>(
        NbdExport{served.overlay,
                  [overlay = served.overlay](std::uint64_t offset, std::span<const std::byte> bytes) {
                      overlay->write_at(offset, bytes);
                  },
                  {}});
    return served;
}

QemuMachine::ServedDisk QemuMachine::serve_changes(const FurtherDisk& disk) {
    ServedDisk served;
    served.image = std::make_shared<CountingDevice>(disk.device);
    served.server = std::make_unique<NbdServer>(NbdExport{
        served.image,
        [changes = disk.changes](std::uint64_t offset, std::span<const std::byte> bytes) {
            changes->write_at(offset, bytes);
        },
        {},
        [changes = disk.changes](std::uint64_t offset, std::uint64_t length) { changes->discard(offset, length); }});
    return served;
}

QemuMachine::QemuMachine(const VmSpec& spec, Accelerator accelerator, const std::string& binary,
                         const std::filesystem::path& scratch_folder)
    : forwards_(spec.forwards) {
    disks_.push_back(serve(spec.disk, scratch_folder));
    for (const FurtherDisk& disk : spec.further_disks)
        disks_.push_back(disk.changes ? serve_changes(disk) : serve(disk.device, scratch_folder));

    const FirmwareFiles firmware = require_firmware(spec.firmware);
    const UniqueFd variables = copy_variables(firmware.variables, scratch_folder);
    picture_ = scratch_file(scratch_folder);
    const UniqueFd picture_writer = open_for_writing(picture_);
    SocketPair monitor = make_sockets();
    SocketPair serial_input = make_sockets();
    PipeEnds serial_output = make_serial_output();
    SocketPair agent = make_sockets();
    SocketPair own_agent = make_sockets();
    if (spec.notify == NotifyMode::vsock)
        notify_ = NotifyChannel::open(notify_problem_);
    std::vector<UniqueFd> disks;
    disks.reserve(disks_.size());
    for (const ServedDisk& disk : disks_)
        disks.push_back(disk.server->connect());
    UniqueFd seed;
    if (spec.seed) {
        seed_server_ = std::make_unique<NbdServer>(NbdExport{spec.seed, {}, {}});
        seed = seed_server_->connect();
    }

    const QemuDescriptors numbers;
    std::vector<InheritedFd> inherited = {{monitor.theirs.get(), numbers.monitor},
                                          {serial_input.theirs.get(), numbers.serial_input},
                                          {serial_output.writer.get(), numbers.serial_output},
                                          {agent.theirs.get(), numbers.agent},
                                          {disks.front().get(), numbers.disk},
                                          {variables.get(), numbers.firmware_variables},
                                          {picture_writer.get(), kPictureFd},
                                          {own_agent.theirs.get(), numbers.own_agent}};
    if (seed)
        inherited.push_back({seed.get(), numbers.seed});
    for (std::size_t i = 1; i < disks.size(); ++i)
        inherited.push_back({disks[i].get(), numbers.first_further_disk + static_cast<int>(i) - 1});
    const BootFiles boot_files = copy_boot_files(spec, scratch_folder);
    if (boot_files.kernel)
        inherited.push_back({boot_files.kernel.get(), numbers.kernel});
    if (boot_files.initramfs)
        inherited.push_back({boot_files.initramfs.get(), numbers.initramfs});
    std::optional<VsockAddress> vsock;
    if (notify_) {
        inherited.push_back({notify_->vhost_fd(), numbers.vhost});
        vsock = VsockAddress{notify_->guest_cid(), notify_->port()};
    }
    arguments_ = qemu_arguments(spec, accelerator, {binary, firmware.code}, numbers, vsock);
    arguments_.insert(arguments_.end(), {"-add-fd", "fd=" + std::to_string(kPictureFd) + ",set=2"});
    process_ = std::make_unique<ChildProcess>(arguments_, inherited);
    waited_before_ = process_->starved_time() + stolen_time();
    monitor_ = std::move(monitor.ours);
    serial_input_ = std::move(serial_input.ours);
    serial_output_ = std::move(serial_output.reader);
    agent_ = std::move(agent.ours);
    own_agent_ = std::move(own_agent.ours);
}

QemuMachine::~QemuMachine() = default;

void QemuMachine::wait(std::chrono::milliseconds limit, const Interest& interest) {
    // A peer that has gone would wake us without end.
    if (process_->poll_exit())
        return;
    const auto wanted = [](bool output) { return static_cast<short>(output ? POLLIN | POLLOUT : POLLIN); };
    std::array<pollfd, 7> entries = {{
        {monitor_.get(), POLLIN, 0},
        {serial_output_.get(), POLLIN, 0},
        {agent_.get(), wanted(interest.agent_output), 0},
        {own_agent_.get(), wanted(interest.own_agent_output), 0},
        {notify_ ? notify_->listener_fd() : -1, POLLIN, 0},
        {process_->error_fd(), POLLIN, 0},
        {interest.descriptor, POLLIN, 0},
    }};
    if (std::exchange(printing_, false))
        ::poll(nullptr, 0, kGatherMilliseconds);
    ::poll(entries.data(), entries.size(), static_cast<int>(limit.count()));
}

std::chrono::milliseconds QemuMachine::clock() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch());
}

ProcessorTimes QemuMachine::processor_times() {
    return {process_->cpu_time(), process_->starved_time() + stolen_time() - waited_before_};
}

std::vector<MachineEvent> QemuMachine::take_events() {
    read_monitor();
    if (notify_)
        for (const NotifyMessage& notice : notify_->read())
            if (notice.ready)
                events_.push_back({MachineEventKind::notified_ready});
    return std::exchange(events_, {});
}

std::string QemuMachine::read_serial() {
    std::array<char, 65536> buffer{};
    const ssize_t n = ::read(serial_output_.get(), buffer.data(), buffer.size());
    if (n <= 0)
        return {};
    printing_ = true;
    return {buffer.data(), static_cast<std::size_t>(n)};
}

void QemuMachine::write_serial(std::string& bytes) {
    drain(serial_input_.get(), bytes);
}

void QemuMachine::write(GuestChannel channel, std::string& bytes) {
    drain(channel_fd(channel), bytes);
}

std::string QemuMachine::read(GuestChannel channel) {
    return receive(channel_fd(channel));
}

int QemuMachine::channel_fd(GuestChannel channel) const {
    return channel == GuestChannel::agent ? agent_.get() : own_agent_.get();
}

void QemuMachine::ask_connections() {
    send("human-monitor-command", R"({"command-line":"info usernet"})");
}

std::optional<std::vector<std::uint16_t>> QemuMachine::take_connections() {
    return std::exchange(connections_, std::nullopt);
}

void QemuMachine::read_monitor() {
    const std::string bytes = receive(monitor_.get());
    for (const MonitorMessage& message : parser_.feed(bytes))
        handle(message);
}

void QemuMachine::handle(const MonitorMessage& message) {
    switch (message.kind) {
    case MonitorMessageKind::greeting:
        version_ = message.text;
        waited_before_ = process_->starved_time() + stolen_time();
        send("qmp_capabilities");
        continue_id_ = send("cont");
        events_.push_back({MachineEventKind::powered_on});
        break;
    case MonitorMessageKind::result:
        if (message.id == screenshot_id_ && screenshot_id_ != 0) {
            screenshot_answered_ = true;
        } else if (message.text.find(kUsernetHead) != std::string::npos) {
            connections_.emplace();
            for (const PortForward& forward : forwards_)
                if (usernet_established(message.text, forward.host))
                    connections_->push_back(forward.host);
        }
        break;
    case MonitorMessageKind::error:
        if (message.id == screenshot_id_ && screenshot_id_ != 0)
            screenshot_answered_ = true;
        else if (message.id == continue_id_ && continue_id_ != 0)
            fail(ErrorKind::external, "QEMU cannot start the machine: " + escape_untrusted(message.text));
        break;
    case MonitorMessageKind::event:
        handle_event(message);
        break;
    }
}

void QemuMachine::handle_event(const MonitorMessage& message) {
    const bool is_guests = message.guest_reason.starts_with("guest");
    if (message.text == "RESET" && is_guests)
        events_.push_back({MachineEventKind::reset});
    else if (message.text == "SHUTDOWN" && is_guests)
        events_.push_back({MachineEventKind::shutdown});
    else if (message.text == "GUEST_PANICKED")
        events_.push_back({MachineEventKind::panicked});
    else if (message.text == "VSERPORT_CHANGE" && (message.port == "agent" || message.port == "own-agent"))
        events_.push_back({message.port_open ? MachineEventKind::channel_opened : MachineEventKind::channel_closed,
                           message.port == "agent" ? GuestChannel::agent : GuestChannel::own_agent});
}

std::uint64_t QemuMachine::send(std::string_view command, std::string_view arguments) {
    const std::uint64_t id = next_id_++;
    const std::string line = monitor_command(command, id, arguments);
    // A few short lines in all: they always fit the socket. If QEMU has gone, its exit will be noticed.
    (void)!::send(monitor_.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return id;
}

std::vector<std::byte> QemuMachine::take_screenshot(std::chrono::milliseconds limit) {
    if (process_->poll_exit())
        return {};
    screenshot_id_ = send("screendump", R"({"filename":"/dev/fdset/2"})");
    const std::chrono::milliseconds deadline = clock() + limit;
    while (!screenshot_answered_ && clock() < deadline && !process_->poll_exit()) {
        pollfd entry{monitor_.get(), POLLIN, 0};
        ::poll(&entry, 1, kPollMilliseconds);
        read_monitor();
    }
    const std::uint64_t size = screenshot_answered_ ? file_size(picture_.get()) : 0;
    if (size == 0 || size > kMaxPicture)
        return {};
    std::vector<std::byte> bytes(size);
    read_exactly_at(picture_.get(), 0, bytes);
    return png_from_ppm(bytes);
}

DiskUse QemuMachine::disk_use() const {
    DiskUse use;
    for (const ServedDisk& disk : disks_) {
        use.size += disk.image->size();
        use.read += disk.image->bytes_read();
        use.touched += disk.image->bytes_touched();
        if (disk.overlay)
            use.written += disk.overlay->scratch_bytes();
    }
    return use;
}

std::optional<std::string> QemuMachine::disk_error() const {
    for (const ServedDisk& disk : disks_)
        if (auto error = disk.server->first_error())
            return error;
    return {};
}

std::optional<MachineExit> QemuMachine::exit() {
    const std::optional<int> status = process_->poll_exit();
    if (!status)
        return std::nullopt;
    return MachineExit{describe_exit(*status), has_crashed(*status)};
}

std::string QemuMachine::take_messages() {
    std::array<char, 4096> buffer{};
    const ssize_t n = ::read(process_->error_fd(), buffer.data(), buffer.size());
    return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

} // namespace vm2oci
